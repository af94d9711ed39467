"""What every room can be told. Frozen; read once by `main.py` from `IRP_*` variables."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Settings that all rooms share; a room adds its own fields below these."""

    model_config = SettingsConfigDict(env_prefix="IRP_", frozen=True, use_attribute_docstrings=True, extra="ignore")

    rpc_bind: str = "127.0.0.1:0"
    """host:port of the gRPC server."""
    http_bind: str = "127.0.0.1:0"
    """host:port of /healthz, /readyz and /metrics (and, in the gateway, of everything)."""
    database_url: str = "sqlite+aiosqlite:///room.db"
    """SQLAlchemy URL: `sqlite+aiosqlite:///PATH` or `postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE`."""
    nats_url: str = "nats://127.0.0.1:4222"
    """Comma-separated addresses of the NATS servers."""
    nats_user: str = ""
    """The room's NATS user; empty = no authentication."""
    nats_password: SecretStr = SecretStr("")
    """Password of the room's NATS user."""
    nats_replicas: int = 1
    """Replicas of the room's stream: 3 in a cluster."""
    nats_stream_max_bytes: int = 1 << 30
    """Bytes that the room's stream may take; when full, facts wait in the outbox and an alarm is logged."""
    s3_endpoint: str = "127.0.0.1:9000"
    """host:port of the S3 server."""
    s3_access_key: str = ""
    """S3 access key."""
    s3_secret_key: SecretStr = SecretStr("")
    """S3 secret key."""
    s3_secure: bool = False
    """True: https."""
    s3_region: str = "us-east-1"
    """S3 region."""
    bucket: str = ""
    """The bucket this room writes; empty = `irp-<room>`."""
    auth_public_key_file: Path | None = None
    """PEM of the gateway's Ed25519 public key; calls are refused while it is not set."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""
    log_format: Literal["json", "console"] = "json"
    """JSON lines for machines, or coloured text for people."""
    otlp_endpoint: str = ""
    """OTLP/HTTP address for traces, e.g. `http://collector:4318/v1/traces`; empty = not exported."""
    trace_file: Path | None = None
    """File that gets one JSON line per span; for one machine without a collector."""
    drain_s: float = 20.0
    """Seconds that a stopping room may take to finish what it began."""
    failpoint_dir: Path | None = None
    """Tests only: the room kills itself when it passes a failpoint whose name is a file here."""
    max_message_bytes: int = 512 << 20
    """Largest gRPC message in bytes, both ways."""
    cpu_workers: int = 1
    """Worker processes for heavy CPU work."""

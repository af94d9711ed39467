"""What the gateway can be told."""

from __future__ import annotations

from pathlib import Path

from irp_chassis import ServiceSettings


class Settings(ServiceSettings):
    """Settings of the gateway."""

    http_bind: str = "127.0.0.1:8080"
    """host:port of everything that people and frontends use."""
    public_url: str = ""
    """Address under which clients reach the gateway; empty = `http://` and `http_bind`."""
    auth_private_key_file: Path = Path("gateway_ed25519.pem")
    """PEM of the Ed25519 key that signs the rooms' tokens."""
    bootstrap_token_sha256: str = ""
    """SHA-256 (hex) of the token of the first administrator; empty = none."""
    ingest_address: str = "127.0.0.1:8091"
    """host:port of ingest's gRPC door."""
    quality_address: str = "127.0.0.1:8092"
    """host:port of quality's gRPC door."""
    annotation_address: str = "127.0.0.1:8093"
    """host:port of annotation's gRPC door."""
    inference_address: str = "127.0.0.1:8094"
    """host:port of inference's gRPC door. Where the name has several addresses, each is a replica and gets its own
    series; or name them: `ipv4:10.0.0.1:9000,10.0.0.2:9000`."""
    training_address: str = "127.0.0.1:8095"
    """host:port of training's gRPC door."""
    radiomics_address: str = "127.0.0.1:8096"
    """host:port of radiomics' gRPC door."""
    oip_address: str = ""
    """host:port under which clients reach the Open Inference Protocol by gRPC; told with its tokens."""
    oip_http_address: str = ""
    """host:port under which clients reach the Open Inference Protocol by REST; told with its tokens."""
    max_instance_bytes: int = 512 << 20
    """Largest DICOM instance in bytes; larger ones are refused."""
    max_body_bytes: int = 256 << 20
    """Largest body (mask, bundle, table) in bytes; uploads of studies have no limit, each instance has."""
    max_container_bytes: int = 10 << 30
    """Largest form with a container's archive in bytes; it passes through in pieces."""

"""What inference can be told."""

from __future__ import annotations

from typing import Literal

from irp_chassis import ServiceSettings


class Settings(ServiceSettings):
    """Settings of inference."""

    oip_bind: str = "127.0.0.1:0"
    """host:port of the Open Inference Protocol by gRPC."""
    oip_http_bind: str = "127.0.0.1:0"
    """host:port of the Open Inference Protocol by REST."""
    oip_max_batch: int = 4096
    """Images in one request of the Open Inference Protocol; larger ones are refused."""
    engine: Literal["auto", "openvino", "torch"] = "auto"
    """auto = torch on a GPU where there is one, else OpenVINO on the CPU."""
    threads: int = 0
    """CPU threads of the engine; 0 = every core."""
    beside_threads: int = 2
    """Threads that cut crops and tidy labels beside the engine."""
    volume_cache_bytes: int = 1 << 30
    """Bytes of decoded volumes that are kept."""
    queue_limit: int = 64
    """Requests that may wait; further ones are refused with Retry-After."""
    models_kept: int = 4
    """Model versions that stay loaded beside the champions; the least recently used goes first."""

"""What inference can be told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from irp_chassis import ServiceSettings
from pydantic import Field

from irp_inference.domain.precision import Wish


class Settings(ServiceSettings):
    """Settings of inference."""

    oip_bind: str = "127.0.0.1:0"
    """host:port of the Open Inference Protocol by gRPC."""
    oip_http_bind: str = "127.0.0.1:0"
    """host:port of the Open Inference Protocol by REST."""
    model_keys_file: Path | None = None
    """PEM of the registry's public key, or several: versions with another signature are not loaded."""
    require_signed_models: bool = False
    """True: versions without a signature are not loaded either."""
    engine: Literal["auto", "openvino", "torch"] = "auto"
    """auto = torch on a GPU where there is one, else OpenVINO on the CPU."""
    precision: Wish = "float32"
    """A reduced one serves the versions for which its guard accepted it, float32 the others; auto = the fastest."""
    threads: int = 0
    """CPU threads of the engine; 0 = every core."""
    engine_timeout_s: float = 30.0
    """A forward pass that takes longer is a hang: its process is killed and begun again."""
    engine_cache: Path | None = None
    """Folder of exported networks, by digest; empty = one that lives as long as the process."""
    engine_cache_bytes: int = 2 << 30
    """Bytes of that folder; the least recently used goes first."""
    engine_processes: int = 1
    """Engine processes of each version on a CPU, which share its threads; on GPUs there is one per GPU."""
    cuda_channels_last: bool = False
    """On GPUs: pixels beside their channels in memory; slower with the shipped networks."""
    cuda_pinned: bool = True
    """On GPUs: tensors cross in memory that the GPU reads by itself."""
    cuda_graphs: bool = True
    """On GPUs: a pass is recorded once per number of inputs, and replayed: a third of the time for one input."""
    cuda_compile: bool = False
    """On GPUs: torch.compile; loading takes minutes, and a C compiler must be there."""
    beside_threads: int = 2
    """Threads that cut crops and tidy labels beside the engine."""
    method_threads: int = Field(2, ge=1)
    """Threads of the methods that have no model; while there are several, one project never holds all of them."""
    volume_cache_bytes: int = 1 << 30
    """Bytes of decoded volumes that are kept."""
    queue_limit: int = 64
    """Requests that may wait; further ones are refused with Retry-After."""
    max_batch: int = 16
    """Inputs of one forward pass at most; a network whose device gains nothing from so many gets fewer."""
    max_wait_ms: float = 5.0
    """Longest wait of an incomplete batch for those that were lately in flight; a lone client never waits."""
    model_memory_bytes: int = 4 << 30
    """What loaded models may take; the least recently used that is not needed goes first."""
    answer_cache_bytes: int = 256 << 20
    """Bytes of answers of single slices that are remembered: some 4000 of 256 x 256 pixels."""
    features_cache_bytes: int = 256 << 20
    """Bytes of what encoders of models that take marks saw of slices: some 256 of 16 channels and 128 x 128 pixels."""
    live_asks: int = 16
    """Asks to be kept that may wait in one live session."""
    live_ahead: int = 3
    """Slices that are computed ahead of a reader who scrolls; 0 = none."""
    live_deadline_s: float = 2.0
    """Seconds after which a live ask for slices that has not been answered is dropped, where it says nothing else."""

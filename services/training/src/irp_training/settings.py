"""What the training room can be told."""

from __future__ import annotations

import os
from pathlib import Path

from irp_chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of training."""

    training_threads: int = min(4, os.cpu_count() or 1)
    """CPU threads of a run; frozen into the run's recipe when it begins. On a GPU, so many draw the next batches."""
    training_device: str = ""
    """"cpu", "cuda", "cuda:1"...; empty = CUDA where there is one."""
    sandbox_memory_bytes: int = 2 << 30
    """Memory of the process in which a pushed bundle is looked through and tried out."""
    sandbox_seconds: float = 120.0
    """Seconds that looking through a pushed bundle may take, and judging it on one case; then the process is killed."""
    training_processes: int = 0
    """Processes that share a run, each with its part of every batch; 0 = one per GPU, and one on a CPU."""
    training_price_per_hour: float = 0.0
    """What an hour of a run costs, all its processes together: runs show their cost, recipes may limit it. 0 = none."""
    training_currency: str = ""
    """Unit of the price, for example "EUR"; shown beside costs."""
    shipped_models_dir: Path | None = None
    """Folder with bundles (`NAME.zip`) that are registered at start, and promoted where a name has no champion yet."""

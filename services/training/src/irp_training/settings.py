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
    signing_key_file: Path | None = None
    """File with the key (32 bytes, hexadecimal) that signs validation reports; empty = the room makes one and keeps it
    in its database."""
    shipped_models_dir: Path | None = None
    """Folder with bundles (`NAME.zip`) that are registered at start, and promoted where a name has no champion yet."""

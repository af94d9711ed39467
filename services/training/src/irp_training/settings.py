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
    shipped_models_dir: Path | None = None
    """Folder with bundles (`NAME.zip`) that are registered at start, and promoted where a name has no champion yet."""
    container_runtime: str = ""
    """Command line of the container runtime, e.g. `podman --runtime runc`; empty = podman or docker, if on PATH."""
    container_scratch_dir: Path | None = None
    """Folder for the files of running containers; empty = the system's own for temporary files."""
    container_archive_bytes: int = 10 << 30
    """Largest archive of a container that can be pushed, and what it may unpack to at most."""
    container_namespace: str = ""
    """In a cluster: the namespace in which containers run as Jobs, and nothing else; empty = on this machine."""
    container_carrier_image: str = "openirp/training"
    """In a cluster: image of this room, which carries files to containers and back."""
    container_storage_class: str = ""
    """In a cluster: storage class of the volume of a run; empty = the cluster's own."""
    container_concurrency: int = 1
    """Containers that run at the same time."""

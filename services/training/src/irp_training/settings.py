"""What the training room can be told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from irp_chassis.settings import ServiceSettings
from pydantic import Field

from irp_training.domain.judging.bounds import Bounds
from irp_training.domain.judging.gate import Way


class Settings(ServiceSettings):
    """Settings of training."""

    training_threads: int = min(4, os.cpu_count() or 1)
    """CPU threads of a run; frozen into the run's recipe when it begins. On a GPU, so many draw the next batches."""
    training_device: str = ""
    """"cpu", "cuda", "cuda:1"...; empty = CUDA where there is one."""
    training_margin: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Dice that a structure may lose on average before the gate refuses; recipes may say less, and never more."""
    training_gate: Way = "auto"
    """How that is shown: "mean", "auto" (interval where patients suffice), "bootstrap"; recipes may be stricter."""
    training_subgroup_margin: Annotated[float, Field(ge=0, le=1)] = 0.03
    """Likewise on a subgroup of five patients or more; 0 = no bound."""
    training_calibration_margin: Annotated[float, Field(ge=0, le=1)] = 0.02
    """By how much the expected calibration error may rise; recipes may ask for less; 0 = no bound."""
    training_latency_ratio: Annotated[float, Field(ge=0, le=1000)] = 2.0
    """How many times the champion's seconds per slice it may take; recipes may ask for less; 0 = no bound."""
    training_approvals: Literal[0, 1] = 0
    """1: a promotion waits until a second person approves; a project can ask for it by `approvals`, too."""
    model_key_file: Path | None = None
    """PEM of the Ed25519 key that signs versions; made there if there is none. Empty = versions are not signed."""
    code_commit: str = ""
    """Commit of the code that runs, for what is signed; images know theirs. Empty = not known."""
    sandbox_memory_bytes: int = 2 << 30
    """Memory of the process in which a pushed bundle is looked through and tried out."""
    sandbox_seconds: float = 120.0
    """Seconds that looking through a pushed bundle may take, and each pass of up to eight slices or patches when it is
    judged; then the process is killed."""
    training_processes: int = 0
    """Processes that share a run, each with its part of every batch; 0 = one per GPU, and one on a CPU."""
    training_cache_dir: Path | None = None
    """Folder for the images and masks of runs, unpacked, so that the next run reads them at once; unset = none."""
    training_cache_bytes: int = 8 << 30
    """Bytes that this folder may take; what was not used for longest goes first."""
    training_price_per_hour: float = 0.0
    """What an hour of a run costs, all its processes together: runs show their cost, recipes may limit it. 0 = none."""
    training_currency: str = ""
    """Unit of the price, for example "EUR"; shown beside costs."""
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

    @property
    def bounds(self) -> Bounds:
        """What every candidate must keep to."""
        return Bounds(
            margin=self.training_margin,
            way=self.training_gate,
            subgroup_margin=self.training_subgroup_margin,
            calibration_margin=self.training_calibration_margin,
            latency_ratio=self.training_latency_ratio,
        )

"""Models as a worker has them: bundles with what runs them, in this process or in the sandbox."""

from __future__ import annotations

from collections.abc import Iterable

from irp_bundle import Pipeline
from irp_training.adapters.sandbox_bounds import SandboxBounds
from irp_training.adapters.sandbox_engine import engines_of
from irp_training.domain.learning.plan import CaseFile
from irp_training.domain.registry.examined import Examined, examine

BOUNDS = SandboxBounds(memory_bytes=4 << 30, seconds=120)


def examined(bundles: Iterable[bytes], files: Iterable[CaseFile]) -> tuple[Examined, ...]:
    """As the worker's process does it."""
    with engines_of(list(bundles), "cpu", BOUNDS) as models:
        return examine(models, ((case.series, volume, mask) for case, _, volume, mask in files))


def pipeline_of(bundle: bytes) -> Pipeline:
    """Of a bundle with weights."""
    with engines_of([bundle], "cpu", BOUNDS) as (model,):
        return Pipeline(*model)

"""CPU work in a worker process: bytes in, report out."""

from __future__ import annotations

from irp_chassis.workers import in_worker
from irp_kernel import decode_volume

from irp_quality.domain.report import SeriesReport, assess


def assess_bytes(volume: bytes) -> SeriesReport:
    """Decode and assess; runs in the worker."""
    return assess(decode_volume(volume))


async def measure(volume: bytes) -> SeriesReport:
    """The Measure port: see irp_quality.app.ports."""
    return await in_worker(assess_bytes, volume)

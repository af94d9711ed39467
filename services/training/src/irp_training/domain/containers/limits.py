"""What a container may use. Every growth has a bound, and the bound a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from irp_training.domain.container_errors import SocketsNotValid

OUTPUT_FILES = 1_000  # that a run may leave
OUTPUT_DEPTH = 6  # directories
SAID_LIMIT = 300  # characters of standard error's last line that are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one run.

    Attributes:
        time_s: seconds, then it is stopped.
        memory_mb: MiB of memory and swap together.
        cpus: cores.
        processes: processes and threads.
        scratch_mb: MiB of /tmp, in memory.
        output_mb: MiB of everything that it leaves in /output.
    """

    time_s: int = 600
    memory_mb: int = 4096
    cpus: int = 2
    processes: int = 256
    scratch_mb: int = 256
    output_mb: int = 1024

    def to_parameters(self) -> dict[str, str]:
        """As provenance says them."""
        return {f"limit_{name}": str(value) for name, value in asdict(self).items()}


# Source: Grand Challenge, job limits: 5 minutes to 24 hours, 4 to 32 GB. Shorter and smaller is allowed here.
BOUNDS: Mapping[str, tuple[int, int]] = {
    "time_s": (1, 24 * 3600),
    "memory_mb": (64, 32 << 10),
    "cpus": (1, 64),
    "processes": (8, 4096),
    "scratch_mb": (1, 8 << 10),
    "output_mb": (1, 8 << 10),
}


def read_limits(document: Any) -> Limits:
    """Limits as they were declared; what is not said takes its default.

    Raises:
        SocketsNotValid: with the place.
    """
    if not isinstance(document, dict) or set(document) - {field.name for field in fields(Limits)}:
        raise SocketsNotValid(f"limits: an object with {', '.join(BOUNDS)}")
    for name, value in document.items():
        low, high = BOUNDS[name]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise SocketsNotValid(f"limits.{name}: a whole number from {low} to {high}")
    return Limits(**document)

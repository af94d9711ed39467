"""What ingest's verbs need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from irp_kernel import Geometry, ObjectRef

from irp_ingest.domain import pixels
from irp_ingest.domain.intake import Intake, Order
from irp_ingest.domain.plane import Plane


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectAt:
    """A project at one revision, as every call carries it."""

    id: str
    revision: int
    configuration: ObjectRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An instance as the index holds it."""

    sop_uid: str
    sop_class: str
    transfer_syntax: str
    object: ObjectRef
    header: dict[str, Any]
    planes: tuple[Plane, ...]
    candidates: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """A series that became a volume."""

    sequence_class: str
    volume: ObjectRef
    header: ObjectRef
    instances: ObjectRef
    shape: tuple[int, int, int, int]
    spacing_mm: tuple[float, float, float]
    facts: dict[str, Any]
    left_out: str


class Intakes(Protocol):
    """The worker that reads, judges and de-identifies a file."""

    async def take_in(self, original: bytes, order: Order) -> Intake:
        """See domain.intake.take_in."""
        ...


class Builders(Protocol):
    """The worker that decodes pixels into a volume."""

    async def build(self, files: Sequence[bytes], order: pixels.Order, geometry: Geometry) -> bytes:
        """See domain.pixels.build_volume."""
        ...


class Objects(Protocol):
    """Where bytes are kept."""

    async def put(
        self, data: bytes, *, project: str, entity: str, id: str, kind: str, media_type: str, extension: str
    ) -> ObjectRef:
        """Store bytes; durable when this returns."""
        ...

    async def get(self, ref: ObjectRef) -> bytes:
        """Read bytes, verified."""
        ...


class SealedObjects(Protocol):
    """Where the bytes of instances in quarantine are kept: encrypted by a key of the project."""

    async def put(self, data: bytes, *, project: str, id: str) -> ObjectRef:
        """Encrypt and store; the same bytes under the same id are the same object."""
        ...

    async def get(self, ref: ObjectRef, *, project: str, id: str) -> bytes:
        """Read and decrypt."""
        ...

    async def remove(self, ref: ObjectRef) -> None:
        """Remove; what is not there is removed already."""
        ...


class Index(Protocol):
    """Instances, series, and what was refused."""

    async def site_key(self, project: str, site: str) -> bytes:
        """K_site; makes the project's secret on first use."""
        ...

    async def add(
        self, project: ProjectAt, intake: Intake, object: ObjectRef, open_s: float, removals: int = 0
    ) -> bool:
        """Add an instance and keep its series open; False if the same came before.

        Raises:
            ContentDiffers: another one came before.
            SeriesBeingDeleted: objects of the series are being removed.
            ObjectsWereRemoved: not `removals` times, but as often as its details say: the object must be put again.
        """
        ...

    async def wait_until(self, project: str, series_uids: Sequence[str], quiet_until: float) -> None:
        """Set when series that are being received count as complete, in seconds since 1970."""
        ...

    async def instances(self, project: str, series_uid: str) -> Sequence[Kept]:
        """Instances of a series."""
        ...

    async def count(self, project: str, series_uid: str) -> int | None:
        """How many instances of a series have come and gone so far; None if the series was deleted."""
        ...

    async def left_over(self, project: str, series_uid: str) -> None:
        """Objects were made of a series that is deleted: they are to be removed, too."""
        ...

    async def assembled(self, project: ProjectAt, series_uid: str, count: int, result: Assembled) -> None:
        """Keep the volume and announce it, unless instances came or went in the meantime."""
        ...

    async def not_assembled(self, project: str, series_uid: str, count: int, reason: str, message: str) -> None:
        """Keep the reason, unless instances came or went in the meantime."""
        ...

    async def reject(self, project: str, reason: str, message: str) -> None:
        """Count a refusal; holds nothing of what was refused."""
        ...


class Configurations(Protocol):
    """Configuration documents, by reference and cached."""

    async def read(self, ref: ObjectRef) -> dict[str, Any]:
        """The parsed document."""
        ...

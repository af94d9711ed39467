"""What the verbs need of the world."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from irp_kernel import ObjectRef

from irp_annotation.domain.review import State
from irp_annotation.domain.segmentation import Segmentation
from irp_annotation.domain.series import ProjectRevision, Series
from irp_annotation.domain.structures import Structures

T = TypeVar("T")
Clock = Callable[[], datetime]


class Compute(Protocol):
    """Runs heavy work away from the event loop."""

    def __call__(self, work: Callable[..., T], *arguments: object) -> Awaitable[T]:
        """`work(*arguments)`."""
        ...


class Objects(Protocol):
    """Immutable bytes."""

    async def put(
        self, data: bytes, *, project: str, entity: str, id: str, kind: str, media_type: str, extension: str
    ) -> ObjectRef:
        """Store."""
        ...

    async def get(self, ref: ObjectRef) -> bytes:
        """Read, verified."""
        ...


class Projects(Protocol):
    """What projects draw, by their configuration."""

    async def structures(self, project: ProjectRevision) -> Structures | None:
        """None if this configuration is not known here."""
        ...

    async def remember(self, project: ProjectRevision, structures: Structures) -> None:
        """Keep it."""
        ...


class Catalogue(Protocol):
    """Series and the versions of their segmentations."""

    async def series(self, project: str, uid: str) -> Series | None:
        """The newest version of a series' volume; None if unknown."""
        ...

    async def was_deleted(self, project: str, uid: str, version: int) -> bool:
        """True if this version of a series' volume is gone for good."""
        ...

    async def remember(self, series: Series) -> None:
        """Keep a series unless a newer version is known, or this one was deleted."""
        ...

    async def find(self, project: str, id: str) -> Segmentation | None:
        """One segmentation."""
        ...

    async def versions(self, project: str, series_uid: str) -> Sequence[Segmentation]:
        """All versions, newest last."""
        ...

    async def add(self, draft: Segmentation, project: ProjectRevision, *, based_on: int = 0) -> Segmentation:
        """Number and store a version, and announce it if it is accepted; the one that is there if it was there.

        Raises:
            NewerVersionExists: `based_on` is not the newest version that people made.
            SeriesHeld, SeriesUnknown: the series is being deleted, or was since it was read.
        """
        ...

    async def move(
        self, present: Segmentation, state: State, project: ProjectRevision, *, actor: str, at: str
    ) -> Segmentation:
        """Change the state, and announce an acceptance.

        Raises:
            NewerVersionExists: somebody else changed it since it was read.
            SeriesHeld, SeriesUnknown: the series is being deleted, or was since it was read.
        """
        ...

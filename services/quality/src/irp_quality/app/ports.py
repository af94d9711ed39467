"""What the verbs need of the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from irp_kernel import ObjectRef, Slug, Uid

from irp_quality.domain.rating import Question, Rating
from irp_quality.domain.report import SeriesReport


@dataclass(frozen=True, slots=True, kw_only=True)
class AssembledSeries:
    """A series to be assessed, at one version of its volume."""

    project: Slug
    uid: Uid
    version: int
    volume: ObjectRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """A report with where it came from.

    Attributes:
        at: RFC 3339 UTC.
        software: room and version.
        document: the report as stored JSON; None before it is stored.
    """

    series: AssembledSeries
    report: SeriesReport
    at: str
    software: str
    document: ObjectRef | None = None


class Bytes(Protocol):
    """Reads stored objects, verified."""

    async def get(self, ref: ObjectRef) -> bytes:
        """Bytes of an object."""
        ...


class Measure(Protocol):
    """Measures the bytes of a volume off the event loop."""

    async def __call__(self, volume: bytes) -> SeriesReport:
        """The report of an encoded volume."""
        ...


class Documents(Protocol):
    """Stores reports as immutable JSON."""

    async def put(self, assessment: Assessment) -> ObjectRef:
        """Store; the same report twice is one object."""
        ...


class Assessments(Protocol):
    """Rows of reports."""

    async def pending(self, project: Slug, uid: Uid) -> AssembledSeries | None:
        """The newest known version of a series, unless it was assessed already."""
        ...

    async def save(self, assessment: Assessment) -> None:
        """Row and fact in one transaction; an older version than the present one changes nothing."""
        ...

    async def find(self, project: Slug, uid: Uid) -> Assessment | None:
        """The present report of a series."""
        ...


class Forms(Protocol):
    """Quality forms of projects."""

    async def of(self, project: Slug, revision: int, configuration: ObjectRef) -> tuple[Question, ...]:
        """Questions of one revision, fetched if it is not known yet."""
        ...


class Ratings(Protocol):
    """Rows of ratings."""

    async def save(self, project: Slug, uid: Uid, rating: Rating, *, revision: int, configuration: ObjectRef) -> int:
        """Row and fact in one transaction; answers the rating's version (unchanged if nothing changed)."""
        ...

    async def of(self, project: Slug, uid: Uid) -> Sequence[Rating]:
        """Ratings of a series, oldest first."""
        ...


class Clock(Protocol):
    """Tells the time."""

    def __call__(self) -> str:
        """RFC 3339 UTC."""
        ...


Answers = dict[str, Any]

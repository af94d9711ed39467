"""What is to be deleted, and what stands against it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from irp_ingest.domain.errors import SeriesChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A study, a series of it, or an instance of that: empty UIDs mean all."""

    study_uid: str
    series_uid: str = ""
    sop_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """How many instances, and how many whole series, are gone."""

    instances: int
    series: int


def require_asked(found: Collection[str], asked: Collection[str]) -> None:
    """Only series whose references were asked for may go.

    Raises:
        SeriesChanged: there are others, which came in the meantime.
    """
    if not set(found) <= set(asked):
        raise SeriesChanged

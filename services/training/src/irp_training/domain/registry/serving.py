"""What operators said of which version answers, beside the champion: pins, canaries, shadows. Inference follows it.

Here it is history only: a pinned version that could not be loaded gave way to the champion all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from irp_training.domain.registry.registry import Promotion, champion

EARLIEST = datetime.min.replace(tzinfo=UTC)


class Dated(Protocol):
    """What a replica wrote down, with its own clock's time."""

    @property
    def at(self) -> str:
        """RFC 3339 UTC."""
        ...


T = TypeVar("T", bound=Dated)


@dataclass(frozen=True, slots=True)
class Share:
    """A version and its part of the series, in percent."""

    version: int
    percent: float

    def __str__(self) -> str:
        return f"{self.version} for {self.percent:g} % of the series"


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What was said of a model; `revision` counts from 1.

    Attributes:
        actor: who.
        at: RFC 3339 UTC.
        pin: this version answered, whatever was promoted.
        canary: this version answered for some series.
        shadow: this version computed some answers too, for comparison only.
    """

    revision: int
    actor: str
    at: str
    pin: int | None = None
    canary: Share | None = None
    shadow: Share | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Serving:
        """Of what `dataclasses.asdict` made."""
        shares = {role: Share(**document[role]) if document.get(role) else None for role in ("canary", "shadow")}
        return cls(**{**document, **shares})

    @property
    def words(self) -> str:
        """As a history has it."""
        said = ((role, getattr(self, role)) for role in ("pin", "canary", "shadow"))
        return ", ".join(f"{role} {what}" for role, what in said if what) or "the champion answers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What answered at a time."""

    champion: int | None
    serving: Serving | None

    @property
    def version(self) -> int | None:
        """The pinned one, else the champion; a canary answers for its share."""
        return (self.serving.pin if self.serving else None) or self.champion


def served_at(promotions: Sequence[Promotion], servings: Sequence[Serving], at: datetime | None) -> Served:
    """What answered then; None = now."""
    crowned = _until(sorted(promotions, key=lambda one: one.sequence), at)
    said = _until(sorted(servings, key=lambda one: one.revision), at)
    return Served(champion=champion(crowned), serving=said[-1] if said else None)


def in_order(entries: Iterable[T]) -> Iterator[tuple[datetime, T]]:
    """When each happened: not before the one that it follows, whatever the clock of its replica said."""
    latest = EARLIEST
    for one in entries:
        latest = max(latest, moment(one.at))
        yield latest, one


def moment(text: str) -> datetime:
    """RFC 3339 -> a time that can be compared."""
    return datetime.fromisoformat(text)


def _until(entries: Iterable[T], at: datetime | None) -> list[T]:
    return [one for when, one in in_order(entries) if at is None or when <= at]

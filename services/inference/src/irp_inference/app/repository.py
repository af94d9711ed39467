"""What the Open Inference Protocol asks of the models beyond using them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from irp_bundle import Stage

from irp_inference.app.ports import Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One version of a model that this room knows.

    Attributes:
        loaded: held by the version's engine now; None = not held.
        champion: serves when no version is asked for.
        unloaded: somebody unloaded the model by hand.
    """

    name: str
    version: int
    loaded: Loaded | None
    champion: bool
    unloaded: bool


class Repository(Protocol):
    """The models that could serve, and those that do."""

    async def index(self) -> list[Entry]:
        """Every version known, by name and version."""
        ...

    async def load(self, name: str, version: int | None) -> None:
        """Have it ready; None = the champion. ModelUnknown."""
        ...

    async def unload(self, name: str) -> None:
        """Let go of every version; ModelUnknown."""
        ...

    async def ready(self) -> bool:
        """True if every champion that is to serve does."""
        ...

    def serving(self, name: str, version: int | None) -> Loaded | None:
        """The version that would answer now (None = the champion), if it is loaded; loads nothing."""
        ...


class Passes(Protocol):
    """Told of every forward pass."""

    def passed(self, model: Loaded, stage: Stage, size: int, queued_s: float, took_s: float, *, ok: bool) -> None:
        """One pass of `size` inputs ended."""
        ...


class Statistics(Protocol):
    """What the passes of a model amounted to."""

    def of(self, model: Loaded, stage: Stage) -> dict[str, Any]:
        """Counts in the words of the protocol's ModelStatistics, without name and version."""
        ...

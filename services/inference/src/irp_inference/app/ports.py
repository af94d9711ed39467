"""What the classification server's verbs need."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from irp_bundle import Located, Pipeline
from irp_kernel import ObjectRef, Volume

T = TypeVar("T")
LIVE, BACKGROUND = 0, 1  # a person is waiting; nobody is


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesKnown:
    """A series as this room knows it."""

    project: str
    uid: str
    version: int
    volume: ObjectRef
    sequence_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model that is ready to answer."""

    name: str
    version: int
    digest: str
    pipeline: Pipeline
    engine: str
    device: str
    weight_bytes: int


class Series(Protocol):
    """The read model of stored series."""

    async def get(self, project: str, uid: str) -> SeriesKnown | None:
        """A series, or None."""
        ...


class Volumes(Protocol):
    """Decoded volumes, cached by content."""

    async def get(self, ref: ObjectRef) -> Volume:
        """Read, verify, decode."""
        ...


class Models(Protocol):
    """Loaded models."""

    def use(self, name: str, version: int | None) -> AbstractAsyncContextManager[Loaded]:
        """A model that stays loaded while it is used; None = the champion. ModelUnknown if there is none."""
        ...


class Windows(Protocol):
    """Where net 1 found the ventricle, by volume and model."""

    def get(self, key: str) -> Located | None:
        """Known window, or None."""
        ...

    def put(self, key: str, value: Located, size: int) -> None:
        """Keep it."""
        ...


class Compute(Protocol):
    """The one place where heavy work happens, off the event loop."""

    async def run(self, work: Callable[[], T], *, priority: int) -> T:
        """Run when it is its turn. InferenceQueueFull, DeadlineExceeded."""
        ...

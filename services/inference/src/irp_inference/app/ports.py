"""What the classification server's verbs need."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, TypeVar

import numpy as np
from irp_bundle import InteractiveSteps, Located, PipelineSteps, Segmented, Stage
from irp_kernel import ObjectRef, Volume
from irp_kernel.errors import DeadlineExceeded
from irp_kernel.ids import VersionName
from numpy.typing import NDArray

T = TypeVar("T")


class Lane(IntEnum):
    """Who waits for a forward pass; a lower lane goes first."""

    LIVE = 0
    """A person is looking at the slice."""
    AHEAD = 1
    """The person may scroll there next."""
    BACKGROUND = 2
    """Nobody: a proposal, a shadow."""


@dataclass(slots=True)
class Turn:
    """What becomes of one request, said between its owner and whoever runs its passes.

    Attributes:
        passing: a pass of it is on the device: stopping now would save nothing.
        stale: nobody waits for it any more; the pass on the device may end, no further one begins.
        passes: how many began.
    """

    passing: bool = False
    stale: bool = False
    passes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """On whose behalf work is done, and until when it is worth doing.

    Attributes:
        project: passes are shared out fairly between projects.
        lane: see Lane.
        until: monotonic clock, seconds; None = as long as it takes.
        turn: kept up to date by whoever runs the passes, where somebody watches; None = nobody does.
    """

    project: str
    lane: Lane = Lane.LIVE
    until: float | None = None
    turn: Turn | None = None

    def require_wanted(self) -> None:
        """Before each piece of work.

        Raises:
            CancelledError: nobody waits for it any more.
            DeadlineExceeded: it would come too late.
        """
        if self.turn is not None and self.turn.stale:
            raise asyncio.CancelledError
        if self.until is not None and self.until <= time.monotonic():
            raise DeadlineExceeded

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Around each pass on the device, or piece of work of a method."""
        turn = self.turn or Turn()
        turn.passing, turn.passes = True, turn.passes + 1
        try:
            yield
        finally:
            turn.passing = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesKnown:
    """A series as this room knows it."""

    project: str
    uid: str
    version: int
    volume: ObjectRef
    sequence_class: str


class Nets(Protocol):
    """The networks of one model version on one device, wherever they live."""

    @property
    def engine(self) -> str:
        """For example "openvino" or "torch"."""
        ...

    @property
    def device(self) -> str:
        """For example "cpu" or "cuda:0"."""
        ...

    @property
    def precision(self) -> str:
        """For example "float32" or "int8"."""
        ...

    @property
    def precision_note(self) -> str:
        """Why it is not the one that was asked for; empty = it is."""
        ...

    @property
    def memory_bytes(self) -> int:
        """What holding it costs on that device."""
        ...

    @property
    def best_batch(self) -> int:
        """Inputs per pass beyond which the device gains nothing."""
        ...

    @property
    def parked(self) -> bool:
        """True if it crashed too often, and is not tried again until it is opened anew."""
        ...

    async def forward(self, stage: Stage, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """One pass: (N, C, *size) -> logits (N, channels, *size), both float32; never on the event loop."""
        ...

    async def close(self) -> None:
        """Give the memory back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model version that is ready to answer; `interactive` if it segments what is marked, and nothing else."""

    name: str
    version: int
    digest: str
    steps: PipelineSteps
    nets: Nets
    interactive: InteractiveSteps | None = None

    @property
    def identity(self) -> str:
        """What its answers depend on: the bundle, and the precision it is computed in."""
        return f"{self.digest}/{self.nets.precision}"


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

    def use(self, name: str, version: VersionName | None) -> AbstractAsyncContextManager[Loaded]:
        """A model that stays loaded while it is used; None = whichever serves now. ModelUnknown if there is none."""
        ...


class Windows(Protocol):
    """Where net 1 found the ventricle, by volume and model."""

    def get(self, key: str) -> Located | None:
        """Known window, or None."""
        ...

    def put(self, key: str, value: Located, size: int) -> None:
        """Keep it."""
        ...


class Memory(Protocol):
    """Answers of single slices, by volume, model, options, frame and slice; bounded in bytes."""

    def get(self, key: str) -> Segmented | None:
        """A known answer, or None."""
        ...

    def put(self, key: str, value: Segmented, size: int) -> None:
        """Keep it."""
        ...


class Batches(Protocol):
    """The one way to a network: passes of many requests go together."""

    async def forward(
        self, model: Loaded, stage: Stage, inputs: NDArray[np.float32], ticket: Ticket
    ) -> NDArray[np.float32]:
        """The logits, when it was this ticket's turn. InferenceQueueFull, DeadlineExceeded."""
        ...


class Offload(Protocol):
    """Threads for what is computed beside the networks: crops, labels, post-processing; and for methods."""

    async def __call__(self, work: Callable[[], T], ticket: Ticket, rows: int = 1) -> T:
        """Run off the event loop when it is this ticket's turn; work whose caller went away before is not begun.

        Args:
            work: to run.
            ticket: on whose behalf.
            rows: what it costs beside other work, for fair shares: slices that it looks at.

        Raises:
            InferenceQueueFull: too much waits.
            DeadlineExceeded: it did not begin in time.
        """
        ...

"""Steps of a pipeline, driven: its arithmetic in a thread, its forward passes through the batches."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from irp_bundle import Forward, Steps

from irp_inference.app.ports import Batches, Loaded, Offload, Ticket

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    result: T


class Drive:
    """Drives steps to their end; cancelled between two passes, nothing more is computed."""

    def __init__(self, batches: Batches, offload: Offload) -> None:
        self._batches, self._offload = batches, offload

    async def __call__(self, steps: Steps[T], model: Loaded, ticket: Ticket) -> T:
        """What the steps return; raises what they, or a pass, raise."""
        try:
            found = await self._offload(_advance(steps, None), ticket)
            while not isinstance(found, _Done):
                ticket.require_wanted()
                logits = await self._batches.forward(model, found.stage, found.inputs, ticket)
                found = await self._offload(_advance(steps, logits), ticket)
            return found.result
        finally:
            # Cancelled while a thread is in the middle of a step, it cannot be closed: it ends with that step.
            with contextlib.suppress(ValueError):
                steps.close()


def _advance(steps: Steps[T], value: Any) -> Callable[[], Forward | _Done[T]]:
    """One step; its end is a value, for StopIteration cannot cross a future."""

    def advance() -> Forward | _Done[T]:
        try:
            return steps.send(value)
        except StopIteration as end:
            return _Done(end.value)

    return advance

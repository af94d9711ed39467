"""Tensors in, logits out, whichever door they came through."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from irp_bundle import Stage
from irp_chassis.rpc import caller
from irp_chassis.rpc_server import deadline
from irp_kernel.errors import ModelUnknown

from irp_inference.adapters.oip_models import asked_for
from irp_inference.adapters.oip_tensors import BIG_BYTES, Pixels
from irp_inference.app.ports import Batches, Lane, Loaded, Models, Offload, Ticket
from irp_inference.domain.errors import TensorNotUsable

T = TypeVar("T")
PIECE = 64
"""Images that go to the engine at once: between two pieces of a large request others have their turn."""


@dataclass(frozen=True, slots=True)
class Infer:
    """What both doors do with a tensor."""

    models: Models
    batches: Batches
    offload: Offload

    @asynccontextmanager
    async def use(self, name: str, version: str) -> AsyncIterator[tuple[Loaded, Stage]]:
        """The network that a request names.

        Raises:
            ModelUnknown: there is none.
        """
        asked = asked_for(name, version)
        async with self.models.use(asked.model, asked.version) as model:
            if asked.stage not in model.steps.bundle.stages:
                raise ModelUnknown("this model has one stage")
            yield model, asked.stage

    async def forward(self, model: Loaded, stage: Stage, images: Pixels, ticket: Ticket) -> Pixels:
        """Logits (N, classes, y, x) of images (N, 1, y, x)."""
        if len(images) <= PIECE:
            return await self.batches.forward(model, stage, images, ticket)
        pieces = [images[at : at + PIECE] for at in range(0, len(images), PIECE)]
        answers = [await self.batches.forward(model, stage, piece, ticket) for piece in pieces]
        return await self.offload(lambda: np.concatenate(answers))

    async def beside(self, size_bytes: int, work: Callable[[], T]) -> T:
        """Do small work here and large work off the event loop."""
        return work() if size_bytes <= BIG_BYTES else await self.offload(work)


def ticket_of(parameters: Mapping[str, Any]) -> Ticket:
    """Priority (1 highest, 0 = as 1) and timeout (microseconds) of a request; `sequence_*` have no meaning here.

    Raises:
        TensorNotUsable: they are not numbers.
    """
    priority, timeout_us = (_whole(parameters, name) for name in ("priority", "timeout"))
    lane = Lane(min(max(priority, 1) - 1, Lane.BACKGROUND))
    ends = [deadline.get(), time.monotonic() + timeout_us / 1e6 if timeout_us else None]
    return Ticket(project=caller().project, lane=lane, until=min((e for e in ends if e is not None), default=None))


def _whole(parameters: Mapping[str, Any], name: str) -> int:
    value = parameters.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TensorNotUsable(f"{name} is a whole number, 0 or more")
    return value

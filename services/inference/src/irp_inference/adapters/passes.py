"""One forward pass of several requests: each gets its rows, or the error that is its own.

A pass that runs out of memory is halved; a batch whose process crashed is repeated one request at a time, so that only
the guilty one gets the error. Whoever went away, or is too late, meanwhile costs no further pass.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial

import numpy as np
from irp_bundle import Stage
from irp_kernel.errors import DeadlineExceeded
from numpy.typing import NDArray

from irp_inference.adapters.batch_metrics import BATCH_ROWS, PASS_SECONDS
from irp_inference.app.ports import Nets, Ticket
from irp_inference.domain.batching import Bounds, Request
from irp_inference.domain.errors import DeviceOutOfMemory, ModelCrashed
from irp_inference.domain.statistics import NetStatistics, Visit

Logits = NDArray[np.float32]
WAIT_SHARE = 0.1  # of a pass's own time that an incomplete batch may wait
LARGE = 4 << 20  # bytes from which arrays are put together in a thread
LEARNING = 0.2  # weight of the newest pass in the measured time


@dataclass(slots=True, eq=False)
class Net:
    """One network: what is known of it. Lives as long as its model is loaded.

    Attributes:
        kind: requests of one kind may share a pass.
        nets: the model's networks.
        stage: which of them.
        statistics: its counts.
        row_s: seconds of a pass per input, measured; 0 = not yet.
    """

    kind: Hashable
    nets: Nets
    stage: Stage
    statistics: NetStatistics
    row_s: float = 0.0

    def bounds(self, most: int, wait_s: float) -> Bounds:
        """For the decision."""
        most = max(1, min(most, self.nets.best_batch))
        return Bounds(most=most, wait_s=min(wait_s, WAIT_SHARE * most * self.row_s), row_s=self.row_s)


@dataclass(slots=True, eq=False)
class Asked:
    """A request, or a piece of one, with what its caller waits for."""

    request: Request
    inputs: NDArray[np.float32]
    answer: asyncio.Future[Logits]
    net: Net
    ticket: Ticket
    visit: Visit

    def give(self, logits: Logits) -> None:
        """Its answer, unless it went away."""
        if not self.answer.done():
            self.answer.set_result(logits)

    def refuse(self, error: Exception) -> None:
        """Its error, unless it went away."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Passes:
    """Runs them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    async def answer(self, members: list[Asked]) -> Callable[[], None]:
        """Run a pass of one or more requests; every member gets its rows, or its error.

        Returns:
            What hands out the answers: the device is free before that, and can begin what waits.
        """
        try:
            logits = await self._run(members, await _together([asked.inputs for asked in members]))
        except DeviceOutOfMemory as error:
            await self._smaller(members, error)
        except ModelCrashed as error:
            await self._one_by_one(members, error)
        except Exception as error:
            for asked in members:
                asked.refuse(error)
        else:
            return partial(_hand_out, members, logits)
        return _nothing

    async def _run(self, members: list[Asked], inputs: NDArray[np.float32]) -> Logits:
        net, began = members[0].net, self._clock()
        with contextlib.ExitStack() as stack:
            for asked in members:
                stack.enter_context(asked.ticket.passing())
            logits = await net.nets.forward(net.stage, inputs)
        took, rows = self._clock() - began, len(inputs)
        net.row_s += (took / rows - net.row_s) * (LEARNING if net.row_s else 1.0)
        counts = net.statistics
        for asked in members:
            asked.visit.computed_s += took
        counts.batches[rows].add(took)
        counts.inferences, counts.executions, counts.last_s = (
            counts.inferences + rows,
            counts.executions + 1,
            time.time(),
        )
        PASS_SECONDS.observe(took)
        BATCH_ROWS.observe(rows)
        return logits

    async def _smaller(self, members: list[Asked], error: DeviceOutOfMemory) -> None:
        """Two smaller passes; one request alone is cut into smaller pieces, down to a single input."""
        if len(members) > 1:
            middle = len(members) // 2
            await self._again(members[:middle])
            await self._again(members[middle:])
            return
        asked = members[0]
        try:
            asked.give(await self._in_pieces(asked, asked.inputs, error))
        except Exception as worse:
            asked.refuse(worse)

    async def _in_pieces(self, asked: Asked, inputs: NDArray[np.float32], error: DeviceOutOfMemory) -> Logits:
        """Logits of inputs that were too many at once."""
        if len(inputs) == 1:
            raise error
        middle = len(inputs) // 2
        return await _together([await self._piece(asked, part) for part in (inputs[:middle], inputs[middle:])])

    async def _piece(self, asked: Asked, inputs: NDArray[np.float32]) -> Logits:
        if not self._still_wanted(asked):
            raise DeadlineExceeded
        try:
            return await self._run([asked], inputs)
        except DeviceOutOfMemory as error:
            return await self._in_pieces(asked, inputs, error)

    async def _one_by_one(self, members: list[Asked], error: ModelCrashed) -> None:
        if len(members) == 1:
            members[0].refuse(error)
            return
        for asked in members:
            await self._again([asked])

    async def _again(self, members: list[Asked]) -> None:
        """Repeat for those who still wait."""
        left = [asked for asked in members if self._still_wanted(asked)]
        if left:
            hand_out = await self.answer(left)
            hand_out()

    def _still_wanted(self, asked: Asked) -> bool:
        """False for who went away, or can not be answered in time any more, and is told so."""
        if asked.request.is_late(self._clock(), asked.net.row_s):
            asked.refuse(DeadlineExceeded())
        return not asked.answer.done()


def _hand_out(members: list[Asked], logits: Logits) -> None:
    at = 0
    for asked in members:
        asked.give(logits[at : at + asked.request.rows])
        at += asked.request.rows


def _nothing() -> None:
    """Everybody was answered, or refused, already."""


async def _together(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """One array; without a copy where there is one part, off the loop where it is large."""
    if len(parts) == 1:
        return np.ascontiguousarray(parts[0])
    if sum(part.nbytes for part in parts) < LARGE:
        return np.concatenate(parts)
    return await asyncio.to_thread(np.concatenate, parts)

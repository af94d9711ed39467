"""The thin loop around the decision of `domain.batching`: one pass at a time per device, answers handed out.

Event-driven: whoever comes, goes, or ends makes the next decision. A pass that runs out of memory is halved; a batch
whose process crashed is repeated one request at a time, so that only the guilty one gets the error.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import numpy as np
from irp_bundle import Stage
from irp_kernel.errors import DeadlineExceeded
from numpy.typing import NDArray

from irp_inference.adapters.batch_metrics import (
    BATCH_ROWS,
    DROPPED,
    EXPECTED_WAIT,
    PASS_SECONDS,
    QUEUE_SECONDS,
    WAITING,
)
from irp_inference.app.ports import Lane, Loaded, Nets, Ticket
from irp_inference.domain.batching import Bounds, Line, Pass, Request, Wait
from irp_inference.domain.errors import DeviceOutOfMemory, InferenceQueueFull, ModelCrashed, ServerLeaves
from irp_inference.domain.statistics import NetStatistics

Logits = NDArray[np.float32]
WAIT_SHARE = 0.1  # of a pass's own time that an incomplete batch may wait
LARGE = 1 << 20  # bytes from which inputs are put together in a thread
LEARNING = 0.2  # weight of the newest pass in the measured time


@dataclass(slots=True, eq=False)
class _Asked:
    """A request with what its caller waits for."""

    request: Request
    inputs: NDArray[np.float32]
    answer: asyncio.Future[Logits]
    net: _Net
    ticket: Ticket


@dataclass(slots=True, eq=False)
class _Net:
    """One network: what is known of it. Lives as long as its model is loaded."""

    kind: Hashable
    nets: Nets
    stage: Stage
    statistics: NetStatistics
    row_s: float = 0.0  # seconds of a pass per input, measured


@dataclass(slots=True, eq=False)
class _Device:
    """One device: who waits for it, and how many passes it runs."""

    line: Line = field(default_factory=Line)
    running: int = 0
    alarm: asyncio.TimerHandle | None = None


class DynamicBatches:
    """See app.ports.Batches.

    Args:
        limit: requests that may wait for a device; one project may take three quarters of them.
        most: inputs per pass at most; a network's own `best_batch` may be less.
        wait_s: longest wait of an incomplete batch for others.
        at_once: passes that a device is given at once.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        limit: int = 64,
        *,
        most: int = 16,
        wait_s: float = 0.005,
        at_once: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit, self._most, self._wait_s, self._at_once, self._clock = limit, most, wait_s, at_once, clock
        self._numbers = itertools.count()
        self._devices: defaultdict[str, _Device] = defaultdict(_Device)
        self._known: dict[Hashable, _Net] = {}
        self._asked: dict[int, _Asked] = {}
        self._passes: set[asyncio.Task[None]] = set()
        self._statistics: dict[tuple[str, int, Stage], NetStatistics] = {}
        self._closed = False

    async def forward(self, model: Loaded, stage: Stage, inputs: NDArray[np.float32], ticket: Ticket) -> Logits:
        """The logits, when it was this ticket's turn; many inputs go in pieces, between which others have their turn.

        Raises:
            InferenceQueueFull: too many wait.
            DeadlineExceeded: the ticket's time passed, or would pass, before the answer.
            ServerLeaves: the room is leaving.
            DeviceOutOfMemory, ModelCrashed, ModelParked: of the pass.
        """
        if self._closed:
            raise ServerLeaves
        net, most = self._net(model, stage, inputs.shape[1:]), min(self._most, model.nets.best_batch)
        if len(inputs) <= most:
            return await self._submit(net, inputs, ticket)
        pieces = [inputs[at : at + most] for at in range(0, len(inputs), most)]
        found = [await self._submit(net, piece, ticket) for piece in pieces]
        return await asyncio.to_thread(np.concatenate, found)

    async def serve(self, stopping: asyncio.Event) -> None:
        """Until `stopping`; then refuse new requests and finish those that were taken."""
        await stopping.wait()
        self._closed = True
        while self._asked:
            await asyncio.gather(*(_ended(asked.answer) for asked in list(self._asked.values())))
        await asyncio.gather(*self._passes)

    def statistics(self, name: str, version: int, stage: Stage) -> NetStatistics:
        """Counts of a network since this process loaded it."""
        return self._statistics.setdefault((name, version, stage), NetStatistics())

    def forget(self, model: Loaded) -> None:
        """A model was unloaded: its counts begin anew if it comes again."""
        for kind in [kind for kind, net in self._known.items() if net.nets is model.nets]:
            del self._known[kind]
            self._devices[model.nets.device].line.forget(kind)
        for key in [key for key in self._statistics if key[:2] == (model.name, model.version)]:
            del self._statistics[key]

    def _net(self, model: Loaded, stage: Stage, shape: tuple[int, ...]) -> _Net:
        kind = (id(model.nets), stage, shape)
        if kind not in self._known:
            counts = self.statistics(model.name, model.version, stage)
            self._known[kind] = _Net(kind=kind, nets=model.nets, stage=stage, statistics=counts)
        return self._known[kind]

    async def _submit(self, net: _Net, inputs: NDArray[np.float32], ticket: Ticket) -> Logits:
        device = self._devices[net.nets.device]
        self._require_room(device, net, ticket)
        asked = self._ask(device, net, inputs, ticket)
        self._decide(device)
        try:
            answer = await asked.answer
        except BaseException:
            self._went_away(device, asked)
            raise
        net.statistics.success.add(self._clock() - asked.request.since)
        return answer

    def _ask(self, device: _Device, net: _Net, inputs: NDArray[np.float32], ticket: Ticket) -> _Asked:
        request = Request(
            number=next(self._numbers),
            kind=net.kind,
            project=ticket.project,
            lane=ticket.lane,
            rows=len(inputs),
            since=self._clock(),
            until=ticket.until,
        )
        asked = _Asked(request, inputs, asyncio.get_running_loop().create_future(), net, ticket)
        self._asked[request.number] = asked
        device.line.add(request)
        self._say_waiting(device, net)
        return asked

    def _say_waiting(self, device: _Device, net: _Net) -> None:
        WAITING.set(len(self._asked))
        EXPECTED_WAIT.set(device.line.rows() * net.row_s)

    def _require_room(self, device: _Device, net: _Net, ticket: Ticket) -> None:
        waiting = len(device.line)
        if waiting >= self._limit or device.line.of_project(ticket.project) >= max(1, self._limit * 3 // 4):
            full = InferenceQueueFull(f"{waiting} requests wait", waiting=waiting)
            full.retry_after_s = max(1.0, device.line.rows() * net.row_s)
            raise full

    def _went_away(self, device: _Device, asked: _Asked) -> None:
        """The caller was cancelled, or got an error: nothing is computed for it any more."""
        asked.net.statistics.fail.add(self._clock() - asked.request.since)
        self._asked.pop(asked.request.number, None)
        if device.line.remove(asked.request.number) is not None:
            DROPPED.labels("cancelled").inc()
            self._decide(device)

    def _decide(self, device: _Device) -> None:
        """Begin as many passes as the device takes now."""
        if device.alarm is not None:
            device.alarm.cancel()
            device.alarm = None
        self._drop_expired(device)
        while device.running < self._at_once:
            decision = device.line.decide(self._clock(), self._bounds())
            if decision is None:
                break
            if isinstance(decision, Wait):
                delay = max(0.0, decision.until - self._clock())
                device.alarm = asyncio.get_running_loop().call_later(delay, self._decide, device)
                break
            self._begin(device, decision)

    def _bounds(self) -> dict[Hashable, Bounds]:
        return {kind: self._bounds_of(net) for kind, net in self._known.items()}

    def _bounds_of(self, net: _Net) -> Bounds:
        most = max(1, min(self._most, net.nets.best_batch))
        return Bounds(most=most, wait_s=min(self._wait_s, WAIT_SHARE * most * net.row_s), pass_s=net.row_s)

    def _drop_expired(self, device: _Device) -> None:
        pass_s = {kind: net.row_s for kind, net in self._known.items()}
        for request in device.line.expired(self._clock(), pass_s):
            DROPPED.labels("expired").inc()
            _refuse(self._asked.pop(request.number), DeadlineExceeded())

    def _begin(self, device: _Device, taken: Pass) -> None:
        members = [self._asked[request.number] for request in taken.members]
        now = self._clock()
        for asked in members:
            waited = now - asked.request.since
            asked.net.statistics.queue.add(waited)
            QUEUE_SECONDS.labels(Lane(asked.request.lane).name.lower()).observe(waited)
        device.running += 1
        task = asyncio.create_task(self._pass(device, taken, members))
        self._passes.add(task)
        task.add_done_callback(self._passes.discard)

    async def _pass(self, device: _Device, taken: Pass, members: list[_Asked]) -> None:
        try:
            await self._answer(members)
        finally:
            device.running -= 1
            device.line.done(taken, self._clock())
            for asked in members:
                self._asked.pop(asked.request.number, None)
            self._say_waiting(device, members[0].net)
            # Callers that were just answered come back first: those in the same turn of the loop share the next pass.
            asyncio.get_running_loop().call_soon(self._decide, device)

    async def _answer(self, members: list[_Asked]) -> None:
        """Run a pass; every member gets its rows, or the error that is its own."""
        net = members[0].net
        try:
            logits = await self._run(net, members)
        except DeviceOutOfMemory as error:
            await self._halves(members, error)
        except ModelCrashed as error:
            await self._one_by_one(members, error)
        except Exception as error:
            for asked in members:
                _refuse(asked, error)
        else:
            at = 0
            for asked in members:
                if not asked.answer.done():
                    asked.answer.set_result(logits[at : at + asked.request.rows])
                at += asked.request.rows

    async def _run(self, net: _Net, members: list[_Asked]) -> Logits:
        inputs = await _together([asked.inputs for asked in members])
        began = self._clock()
        with contextlib.ExitStack() as stack:
            for asked in members:
                stack.enter_context(asked.ticket.passing())
            logits = await net.nets.forward(net.stage, inputs)
        took, rows = self._clock() - began, len(inputs)
        net.row_s += (took / rows - net.row_s) * (LEARNING if net.row_s else 1.0)
        counts = net.statistics
        counts.compute.add(took, len(members))
        counts.batches[rows].add(took)
        counts.inferences, counts.executions, counts.last_s = (
            counts.inferences + rows,
            counts.executions + 1,
            time.time(),
        )
        PASS_SECONDS.observe(took)
        BATCH_ROWS.observe(rows)
        return logits

    async def _halves(self, members: list[_Asked], error: DeviceOutOfMemory) -> None:
        """Two smaller passes; one request alone is cut into smaller pieces, down to a single input."""
        if len(members) > 1:
            middle = len(members) // 2
            await self._answer(members[:middle])
            await self._answer(members[middle:])
            return
        asked = members[0]
        if len(asked.inputs) == 1:
            _refuse(asked, error)
            return
        middle = len(asked.inputs) // 2
        pieces = [
            _Asked(asked.request, part, asyncio.get_running_loop().create_future(), asked.net, asked.ticket)
            for part in (asked.inputs[:middle], asked.inputs[middle:])
        ]
        try:
            found = [await self._piece(piece) for piece in pieces]
        except Exception as worse:
            _refuse(asked, worse)
        else:
            if not asked.answer.done():
                asked.answer.set_result(np.concatenate(found))

    async def _piece(self, piece: _Asked) -> Logits:
        try:
            return await self._run(piece.net, [piece])
        except DeviceOutOfMemory as error:
            await self._halves([piece], error)
            return await piece.answer

    async def _one_by_one(self, members: list[_Asked], error: ModelCrashed) -> None:
        if len(members) == 1:
            _refuse(members[0], error)
            return
        for asked in members:
            if not asked.answer.done():
                await self._answer([asked])


async def _together(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """One array; without a copy where there is one part, off the loop where it is large."""
    if len(parts) == 1:
        return np.ascontiguousarray(parts[0])
    if sum(part.nbytes for part in parts) < LARGE:
        return np.concatenate(parts)
    return await asyncio.to_thread(np.concatenate, parts)


async def _ended(answer: asyncio.Future[Logits]) -> None:
    """Return when a caller has its answer, whatever it is; its pass takes it out of the books in the same moment."""
    await asyncio.wait({answer})
    await asyncio.sleep(0)


def _refuse(asked: _Asked, error: Exception) -> None:
    if not asked.answer.done():
        asked.answer.set_exception(error)

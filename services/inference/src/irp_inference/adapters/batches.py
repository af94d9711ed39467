"""The thin loop around the decision of `domain.batching`: one pass at a time per device, answers handed out.

Event-driven: whoever comes, goes, or ends makes the next decision. What a pass does when it fails is in `passes.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import numpy as np
from irp_bundle import Stage
from irp_kernel.errors import DeadlineExceeded
from numpy.typing import NDArray

from irp_inference.adapters.batch_metrics import DROPPED, EXPECTED_WAIT, QUEUE_SECONDS, WAITING
from irp_inference.adapters.passes import Asked, Logits, Net, Passes
from irp_inference.app.ports import Lane, Loaded, Ticket
from irp_inference.domain.batching import Bounds, Line, Pass, Request, Wait
from irp_inference.domain.errors import InferenceQueueFull, ServerLeaves
from irp_inference.domain.statistics import NetStatistics, Visit

PIECES_AHEAD = 2  # pieces of one request in the line or on the device
UNLOADED = Bounds(most=1)  # of who still waits for a model that is unloaded: it answers, or says why not


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
        self._known: dict[Hashable, Net] = {}
        self._asked: dict[int, Asked] = {}
        self._passes, self._running = Passes(clock), set[asyncio.Task[None]]()
        self._statistics: dict[tuple[str, int, Stage], NetStatistics] = {}
        self._closed = False

    async def forward(self, model: Loaded, stage: Stage, inputs: NDArray[np.float32], ticket: Ticket) -> Logits:
        """The logits, when it was this ticket's turn; many inputs go in pieces, between which others have their turn.

        Raises:
            InferenceQueueFull: too many wait.
            DeadlineExceeded: the ticket's time passed, or would pass, before the answer.
            ServerLeaves: the room is leaving, and nobody waits for the answer (Lane).
            DeviceOutOfMemory, ModelCrashed, ModelParked: of the pass.
        """
        self._require_open(ticket)
        net, visit = self._net(model, stage, inputs.shape[1:]), Visit(since=self._clock())
        try:
            answer = await self._whole(net, inputs, ticket, visit)
        except BaseException:
            net.statistics.failed(visit, self._clock())
            raise
        net.statistics.answered(visit, self._clock())
        return answer

    async def _whole(self, net: Net, inputs: NDArray[np.float32], ticket: Ticket, visit: Visit) -> Logits:
        most = net.bounds(self._most, self._wait_s).most
        if len(inputs) <= most:
            return await self._submit(net, inputs, ticket, visit)
        pieces = [inputs[at : at + most] for at in range(0, len(inputs), most)]
        return await asyncio.to_thread(np.concatenate, await self._one_after_another(net, pieces, ticket, visit))

    async def _one_after_another(
        self, net: Net, pieces: list[NDArray[np.float32]], ticket: Ticket, visit: Visit
    ) -> list[Logits]:
        """The next piece waits in the line while one is on the device, so that the device does not wait for it."""
        ahead = asyncio.Semaphore(PIECES_AHEAD)

        async def submit(piece: NDArray[np.float32]) -> Logits:
            async with ahead:
                return await self._submit(net, piece, ticket, visit)

        try:
            async with asyncio.TaskGroup() as group:
                found = [group.create_task(submit(piece)) for piece in pieces]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in found]

    async def serve(self, stopping: asyncio.Event) -> None:
        """Until `stopping`; then refuse what nobody waits for, and finish what was taken.

        What somebody waits for goes on to its end, whatever passes it needs: the doors take no further requests.
        """
        await stopping.wait()
        self._closed = True
        while self._asked:
            await asyncio.gather(*(_ended(asked.answer) for asked in list(self._asked.values())))
        await asyncio.gather(*self._running)

    def statistics(self, name: str, version: int, stage: Stage) -> NetStatistics:
        """Counts of a network since this process loaded it."""
        return self._statistics.get((name, version, stage)) or NetStatistics()

    def forget(self, model: Loaded) -> None:
        """A model was unloaded: its counts begin anew if it comes again, unless it came again already."""
        for kind in [kind for kind, net in self._known.items() if net.nets is model.nets]:
            del self._known[kind]
            self._devices[model.nets.device].line.forget(kind)
        used = {id(net.statistics) for net in self._known.values()}
        for key, counts in list(self._statistics.items()):
            if key[:2] == (model.name, model.version) and id(counts) not in used:
                del self._statistics[key]

    def _net(self, model: Loaded, stage: Stage, shape: tuple[int, ...]) -> Net:
        kind = (id(model.nets), stage, shape)
        if kind not in self._known:
            counts = self._statistics.setdefault((model.name, model.version, stage), NetStatistics())
            self._known[kind] = Net(kind=kind, nets=model.nets, stage=stage, statistics=counts)
        return self._known[kind]

    async def _submit(self, net: Net, inputs: NDArray[np.float32], ticket: Ticket, visit: Visit) -> Logits:
        device = self._devices[net.nets.device]
        self._require_room(device, net, ticket)
        asked = self._ask(device, net, inputs, ticket, visit)
        self._decide(device)
        end = self._told_at_its_end(device, ticket)
        try:
            return await asked.answer
        except BaseException:
            self._went_away(device, asked)
            raise
        finally:
            if end is not None:
                end.cancel()

    def _told_at_its_end(self, device: _Device, ticket: Ticket) -> asyncio.TimerHandle | None:
        """Who is too late hears it then, and not only when the device is free again."""
        if ticket.until is None:
            return None
        left = max(0.0, ticket.until - self._clock())
        return asyncio.get_running_loop().call_later(left, self._drop_expired, device)

    def _ask(self, device: _Device, net: Net, inputs: NDArray[np.float32], ticket: Ticket, visit: Visit) -> Asked:
        request = Request(
            number=next(self._numbers),
            kind=net.kind,
            project=ticket.project,
            lane=ticket.lane,
            rows=len(inputs),
            since=self._clock(),
            until=ticket.until,
        )
        asked = Asked(request, inputs, asyncio.get_running_loop().create_future(), net, ticket, visit)
        self._asked[request.number] = asked
        device.line.add(request)
        self._say_waiting(device, net)
        return asked

    def _say_waiting(self, device: _Device, net: Net) -> None:
        WAITING.set(len(self._asked))
        EXPECTED_WAIT.set(device.line.rows() * net.row_s)

    def _require_open(self, ticket: Ticket) -> None:
        if self._closed and ticket.lane is not Lane.LIVE:
            raise ServerLeaves

    def _require_room(self, device: _Device, net: Net, ticket: Ticket) -> None:
        self._require_open(ticket)
        if device.line.is_full(ticket.project, self._limit):
            waiting = len(device.line)
            full = InferenceQueueFull(f"{waiting} requests wait", waiting=waiting)
            full.retry_after_s = max(1.0, device.line.rows() * net.row_s)
            raise full

    def _went_away(self, device: _Device, asked: Asked) -> None:
        """The caller was cancelled, or got an error: nothing is computed for it any more."""
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
            decision = device.line.decide(self._clock(), self._bounds)
            if decision is None:
                break
            if isinstance(decision, Wait):
                delay = max(0.0, decision.until - self._clock())
                device.alarm = asyncio.get_running_loop().call_later(delay, self._decide, device)
                break
            self._begin(device, decision)

    def _bounds(self, kind: Hashable) -> Bounds:
        net = self._known.get(kind)
        return net.bounds(self._most, self._wait_s) if net is not None else UNLOADED

    def _drop_expired(self, device: _Device) -> None:
        for request in device.line.expired(self._clock(), self._bounds):
            DROPPED.labels("expired").inc()
            self._asked.pop(request.number).refuse(DeadlineExceeded())

    def _begin(self, device: _Device, taken: Pass) -> None:
        members = [self._asked[request.number] for request in taken.members]
        now = self._clock()
        for asked in members:
            asked.visit.begin(now)
            QUEUE_SECONDS.labels(Lane(asked.request.lane).name.lower()).observe(now - asked.request.since)
        device.running += 1
        task = asyncio.create_task(self._pass(device, taken, members))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _pass(self, device: _Device, taken: Pass, members: list[Asked]) -> None:
        hand_out: Callable[[], None] | None = None
        try:
            hand_out = await self._passes.answer(members)
        finally:
            device.running -= 1
            device.line.done(taken, self._clock())
            for asked in members:
                self._asked.pop(asked.request.number, None)
            self._say_waiting(device, members[0].net)
            # The next pass first, if one is worth beginning: the answers are packed while it runs.
            self._decide(device)
            if hand_out is not None:
                hand_out()
            # Callers that were just answered come back first: those in the same turn of the loop share the next pass.
            asyncio.get_running_loop().call_soon(self._decide, device)


async def _ended(answer: asyncio.Future[Logits]) -> None:
    """Return when a caller has its answer, whatever it is; its pass takes it out of the books in the same moment."""
    await asyncio.wait({answer})
    await asyncio.sleep(0)

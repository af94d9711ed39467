"""An upload stream in, outcomes out: files are put together from pieces in memory, within bounds, and handed on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_kernel.errors import IrpError

from irp_ingest.adapters.memory import MemoryBudget
from irp_ingest.app.open_series import OpenSeries
from irp_ingest.app.outcome import Outcome
from irp_ingest.app.ports import ProjectAt
from irp_ingest.app.store_instance import StoreInstance
from irp_ingest.domain.errors import InstanceTooLarge, MemoryFull, UploadCutOff
from irp_ingest.domain.intake import Order

Pieces = AsyncIterator[pb.StoreInstancesRequest]


class File:
    """One file on its way in; it holds a share of the memory budget until `close`."""

    def __init__(self, budget: MemoryBudget, limit_bytes: int) -> None:
        self._budget, self._limit = budget, limit_bytes
        self._held = 0
        self.data = bytearray()
        self.refused: IrpError | None = None

    async def add(self, piece: bytes) -> None:
        """Append a piece, unless the file is refused already."""
        if self.refused is None and len(self.data) + len(piece) > self._limit:
            await self.refuse(InstanceTooLarge(limit_bytes=self._limit))
        if self.refused is not None:
            return
        try:
            await self._budget.take(len(piece))
        except MemoryFull as full:
            await self.refuse(full)
            return
        self._held += len(piece)
        self.data += piece

    async def refuse(self, reason: IrpError) -> None:
        """Drop what came; further pieces are read and dropped."""
        self.refused = reason
        await self.close()

    async def close(self) -> None:
        """Drop the bytes and give their memory back."""
        self.data = bytearray()
        held, self._held = self._held, 0
        await self._budget.give(held)


class TakeUpload:
    """Reads one upload's stream; several files are worked on while the next one comes."""

    def __init__(self, store: StoreInstance, budget: MemoryBudget, *, limit_bytes: int, in_flight: int) -> None:
        self._store, self._budget = store, budget
        self._limit, self._in_flight = limit_bytes, in_flight

    async def __call__(
        self,
        pieces: Pieces,
        project: ProjectAt,
        order: Order,
        quiet_s: float,
        *,
        more: bool = False,
        note: Callable[[Outcome], None] = lambda outcome: None,
    ) -> list[Outcome]:
        """One outcome per file, in order. What a cut stream had not ended leaves nothing.

        Args:
            pieces: the stream behind its first message.
            project: where to.
            order: for the workers.
            quiet_s: seconds without a new instance until a series is complete.
            more: further uploads follow.
            note: hears of every outcome at once, so that it is known however the upload ends.
        """
        async with self._store.series(project, quiet_s, more=more) as series:
            return await self._take(pieces, project, order, series, note)

    async def _take(
        self, pieces: Pieces, project: ProjectAt, order: Order, series: OpenSeries, note: Callable[[Outcome], None]
    ) -> list[Outcome]:
        work: list[asyncio.Task[Outcome]] = []
        files: list[File] = []
        gate = asyncio.Semaphore(self._in_flight)

        async def finish(file: File) -> Outcome:
            try:
                if file.refused is not None:
                    outcome = await self._store.refuse(project, file.refused)
                else:
                    outcome = await self._store(bytes(file.data), project, order, series.open_s)
                    series.touch(outcome.series_uid)
                note(outcome)
                return replace(outcome, treated=None)  # thousands may wait here for the last one
            finally:
                await file.close()
                gate.release()

        try:
            async for file in self._files(pieces):
                files.append(file)
                await gate.acquire()
                work.append(asyncio.create_task(finish(file)))
            return await asyncio.gather(*work)
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            for file in files:  # a task that was cancelled before it began has closed nothing
                await file.close()

    async def _files(self, pieces: Pieces) -> AsyncIterator[File]:
        file: File | None = None
        try:
            async for piece in pieces:
                kind = piece.WhichOneof("piece")
                if kind == "begin" and file is None:
                    file = File(self._budget, self._limit)
                elif kind == "data" and file is not None:
                    await file.add(piece.data)
                elif kind == "end" and file is not None:
                    whole, file = file, None
                    yield whole
            if file is not None:
                await file.refuse(UploadCutOff())
                cut, file = file, None
                yield cut
        finally:
            if file is not None:
                await file.close()

"""A series stays open while an upload of it goes on, and a while after one that was cut: the rest may follow."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

from irp_ingest.app.ports import Index

OPEN_S = 30.0  # a client that was cut sends again well within this
RENEWALS = 3  # per OPEN_S, while one large file is on its way


class OpenSeries:
    """The series of one upload; complete `quiet_s` after it ended, `open_s` after it was cut or if more is to come."""

    def __init__(self, index: Index, project: str, quiet_s: float, *, more: bool = False) -> None:
        self._index, self._project, self._quiet_s, self._more = index, project, quiet_s, more
        self._touched: set[str] = set()
        self.open_s = max(OPEN_S, quiet_s)

    def touch(self, series_uid: str) -> None:
        """The upload brought an instance of this series."""
        self._touched.add(series_uid)

    async def __aenter__(self) -> OpenSeries:
        """Keep open from now on."""
        self._renewing = asyncio.create_task(self._renew())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let close."""
        self._renewing.cancel()
        await asyncio.gather(self._renewing, return_exceptions=True)
        if error is None and not self._more:
            await self._wait(self._quiet_s)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self.open_s / RENEWALS)
            await self._wait(self.open_s)

    async def _wait(self, seconds: float) -> None:
        if self._touched:
            await self._index.wait_until(self._project, sorted(self._touched), time.time() + seconds)

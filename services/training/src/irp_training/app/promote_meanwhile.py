"""A promotion whose measuring takes longer than anybody waits: it goes on, and who asks again joins it."""

from __future__ import annotations

import asyncio
from typing import Literal

from irp_training.app.promote_model import PromoteModel
from irp_training.domain.judging.gate import Verdict
from irp_training.domain.registry.candidacy import State

WAIT_S = 20.0  # of one ask; shorter than any door's time-out
KEPT_S = 3600.0  # what came of it, for whoever asks late

Asked = tuple[str, int, str]
Stood = tuple[Verdict, State]
Standing = State | Literal["measuring"]


class PromoteMeanwhile:
    """See PromoteModel. One measuring for each version and asker; one that was cut off begins anew with the next ask.

    Args:
        promote: what takes long.
        wait_s: for which one ask waits.
    """

    def __init__(self, promote: PromoteModel, wait_s: float = WAIT_S) -> None:
        self._promote, self._wait_s = promote, wait_s
        self._going: dict[Asked, asyncio.Task[Stood]] = {}

    async def __call__(self, name: str, version: int, actor: str) -> tuple[Verdict | None, Standing]:
        """The verdict and what became of the version; or nothing yet, and "measuring": ask again.

        Raises:
            ModelUnknown, CandidateWorse, VerdictOutdated: as PromoteModel, to whoever asks when it is known.
        """
        asked = (name, version, actor)
        task = self._going.get(asked)
        if task is None:
            task = self._going[asked] = asyncio.create_task(self._promote(name, version, actor))
            task.add_done_callback(lambda done: self._ended(asked, done))
        await asyncio.wait({task}, timeout=self._wait_s)
        if not task.done():
            return None, "measuring"
        self._forget(asked, task)
        return task.result()

    async def close(self) -> None:
        """Measure no more."""
        for task in self._going.values():
            task.cancel()
        await asyncio.gather(*self._going.values(), return_exceptions=True)

    def _ended(self, asked: Asked, task: asyncio.Task[Stood]) -> None:
        if not task.cancelled():
            task.exception()  # it is told to the next who asks, or to nobody: not the event loop's to report
        asyncio.get_running_loop().call_later(KEPT_S, self._forget, asked, task)

    def _forget(self, asked: Asked, task: asyncio.Task[Stood]) -> None:
        if self._going.get(asked) is task:
            del self._going[asked]

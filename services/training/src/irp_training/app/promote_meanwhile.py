"""A promotion whose measuring takes longer than anybody waits: it goes on, and who asks again joins it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from irp_training.app.measuring import Measuring
from irp_training.app.promote_model import PromoteModel
from irp_training.domain.judging.gate import Verdict
from irp_training.domain.registry.candidacy import State
from irp_training.domain.run import Progress

WAIT_S = 5.0  # of one ask, after which it hears how far the measuring is
KEPT_S = 3600.0  # what came of it, for whoever asks late
DECIDED = Progress(fraction=1.0, eta_s=0.0, step="decided")

Asked = tuple[str, int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What became of an ask for a promotion.

    Attributes:
        state: "measuring" while there is no verdict: ask again.
        verdict: the gate's; None where there is none, or none yet.
        progress: of the measuring.
    """

    state: State | Literal["measuring"]
    verdict: Verdict | None = None
    progress: Progress = DECIDED


@dataclass(frozen=True, slots=True)
class _Going:
    task: asyncio.Task[tuple[Verdict, State]]
    measuring: Measuring


class PromoteMeanwhile:
    """See PromoteModel. One measuring for each version and asker; one that was cut off begins anew with the next ask.

    Args:
        promote: what takes long.
        wait_s: for which one ask waits.
        clock: monotonic seconds.
    """

    def __init__(
        self, promote: PromoteModel, wait_s: float = WAIT_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._promote, self._wait_s, self._clock = promote, wait_s, clock
        self._going: dict[Asked, _Going] = {}

    async def __call__(self, name: str, version: int, actor: str) -> Standing:
        """The verdict and what became of the version; or how far the measuring is: ask again.

        Raises:
            ModelUnknown, CandidateWorse, VerdictOutdated: as PromoteModel, to whoever asks when it is known.
        """
        asked = (name, version, actor)
        going = self._going.get(asked) or self._begin(asked)
        await asyncio.wait({going.task}, timeout=self._wait_s)
        if not going.task.done():
            return Standing(state="measuring", progress=going.measuring.progress)
        self._forget(asked, going)
        verdict, state = going.task.result()
        return Standing(state=state, verdict=verdict)

    async def close(self) -> None:
        """Measure no more."""
        tasks = [going.task for going in self._going.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, asked: Asked) -> _Going:
        measuring = Measuring(self._clock)
        going = self._going[asked] = _Going(asyncio.create_task(self._promote(*asked, measuring)), measuring)
        going.task.add_done_callback(lambda _: self._ended(asked, going))
        return going

    def _ended(self, asked: Asked, going: _Going) -> None:
        if not going.task.cancelled():
            going.task.exception()  # it is told to the next who asks, or to nobody: not the event loop's to report
        asyncio.get_running_loop().call_later(KEPT_S, self._forget, asked, going)

    def _forget(self, asked: Asked, going: _Going) -> None:
        if self._going.get(asked) is going:
            del self._going[asked]

"""An answer from whichever version serves, and beside it a shadow's, which is only compared."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace

from irp_kernel.errors import IrpError
from irp_kernel.ids import split_model

from irp_inference.app.ports import Lane, Offload, Ticket
from irp_inference.app.segment_series import Answer, Segments, Wish
from irp_inference.app.whoever_serves import WhoeverServes
from irp_inference.domain.shadow_tally import PairTally, agreement

SHADOWS_AT_ONCE = 4  # further ones are left out: a comparison needs a sample, not every answer

Pair = tuple[str, int, int]  # (name, served, shadow)


class AnswerSeries:
    """See SegmentSeries; a wish without a version gets the one that serves the series."""

    def __init__(self, segment: Segments, whoever: WhoeverServes, offload: Offload) -> None:
        self._segment, self._whoever, self._offload = segment, whoever, offload
        self._shadows: set[asyncio.Task[None]] = set()
        self.comparisons: defaultdict[Pair, PairTally] = defaultdict(PairTally)

    async def __call__(self, wish: Wish, ticket: Ticket) -> Answer:
        """The answer; raises as SegmentSeries."""
        name, version = split_model(wish.model)
        if version is not None:
            return await self._segment(wish, ticket)

        async def ask(version: int) -> Answer:
            return await self._segment(replace(wish, model=f"{name}@{version}"), ticket)

        answer = await self._whoever(name, wish.series_uid, ask)
        if ticket.lane is Lane.LIVE and not answer.known:
            self._compare(name, wish, answer)
        return answer

    def _compare(self, name: str, wish: Wish, answer: Answer) -> None:
        """Begin the shadow's work, if it has a share in this series, after the answer."""
        shadow = self._whoever.shadow(name, answer.model.version, wish.series_uid)
        if shadow is None or len(self._shadows) >= SHADOWS_AT_ONCE:
            return
        task = asyncio.create_task(self._shadow(name, shadow, wish, answer))
        self._shadows.add(task)
        task.add_done_callback(self._shadows.discard)

    async def _shadow(self, name: str, version: int, wish: Wish, answer: Answer) -> None:
        tally = self.comparisons[name, answer.model.version, version]
        try:
            asked, ticket = replace(wish, model=f"{name}@{version}"), Ticket(project=wish.project, lane=Lane.BACKGROUND)
            other = await self._segment(asked, ticket)
            tally.add(await self._offload(lambda: agreement(answer.segmented, other.segmented), ticket))
        except IrpError:
            tally.failures += 1

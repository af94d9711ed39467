"""An answer from whichever version serves: a canary that fails gives way to the champion, a shadow only compares."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import replace
from typing import Protocol

from irp_kernel.errors import IrpError
from irp_kernel.ids import split_model

from irp_inference.app.ports import Lane, Offload, Ticket
from irp_inference.app.segment_series import Answer, Segments, Wish
from irp_inference.domain.errors import LogitsNotFinite, ModelCrashed, ModelParked, PassFailed
from irp_inference.domain.serving import Choice, Policy, shadow_of
from irp_inference.domain.shadow_tally import PairTally, agreement

SHADOWS_AT_ONCE = 4  # further ones are left out: a comparison needs a sample, not every answer
FAULTS = (ModelCrashed, ModelParked, LogitsNotFinite, PassFailed)  # of the model, not of the request

Pair = tuple[str, int, int]  # (name, served, shadow)


class Choices(Protocol):
    """Which version answers."""

    async def choice(self, name: str, series_uid: str) -> Choice:
        """For a series."""
        ...

    async def champion(self, name: str) -> int:
        """What the registry says."""
        ...

    def policy(self, name: str) -> tuple[Policy, int]:
        """What an operator said, and its revision."""
        ...


class AnswerSeries:
    """See SegmentSeries; a wish without a version gets the one that serves the series."""

    def __init__(self, segment: Segments, choices: Choices, offload: Offload) -> None:
        self._segment, self._choices, self._offload = segment, choices, offload
        self._shadows: set[asyncio.Task[None]] = set()
        self.answers: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self.canary_failures: Counter[str] = Counter()
        self.comparisons: defaultdict[Pair, PairTally] = defaultdict(PairTally)

    async def __call__(self, wish: Wish, ticket: Ticket) -> Answer:
        """The answer; raises as SegmentSeries."""
        name, version = split_model(wish.model)
        if version is not None:
            return await self._segment(wish, ticket)
        choice = await self._choices.choice(name, wish.series_uid)
        answer = await self._of(choice, name, wish, ticket)
        self.answers[name][answer.model.version] += 1
        if ticket.lane is Lane.LIVE and not answer.known:
            self._compare(name, wish, answer)
        return answer

    async def _of(self, choice: Choice, name: str, wish: Wish, ticket: Ticket) -> Answer:
        try:
            return await self._segment(replace(wish, model=f"{name}@{choice.version}"), ticket)
        except FAULTS:
            if choice.role != "canary":
                raise
            self.canary_failures[name] += 1
            champion = await self._choices.champion(name)
            return await self._segment(replace(wish, model=f"{name}@{champion}"), ticket)

    def _compare(self, name: str, wish: Wish, answer: Answer) -> None:
        """Begin the shadow's work, if it has a share in this series, after the answer."""
        shadow = shadow_of(self._choices.policy(name)[0], answer.model.version, name, wish.series_uid)
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

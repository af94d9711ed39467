"""A whole series as a proposal, in pieces between which live requests go first."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
from irp_bundle import Options, Segmented
from irp_kernel import Mask, ObjectRef, encode_mask
from irp_kernel.codec import NRRD

from irp_inference.app.answer_series import AnswerSeries
from irp_inference.app.described import described
from irp_inference.app.ports import Lane, Ticket
from irp_inference.app.segment_series import Answer, Wish

TOLD = Options(estimate=True)  # nobody looks at once: say how far it can be trusted


class Objects(Protocol):
    """Where proposals are kept."""

    async def put(
        self, data: bytes, *, project: str, entity: str, id: str, kind: str, media_type: str, extension: str
    ) -> ObjectRef:
        """Store bytes; durable when this returns."""
        ...


class Announce(Protocol):
    """Tells that a mask is proposed."""

    async def proposed(self, answer: Answer, mask: ObjectRef, revision: dict[str, object]) -> None:
        """Announce; saying it twice is saying it once."""
        ...


class Tell(Protocol):
    """Hears how far the work is."""

    async def __call__(self, done: int, total: int) -> None:
        """So many frames of so many."""
        ...


async def _nobody(done: int, total: int) -> None:
    """Nobody wants to know."""


class ProposeSeries:
    """Segment everything of a series and announce it."""

    def __init__(self, segment: AnswerSeries, objects: Objects, announce: Announce) -> None:
        self._segment, self._objects, self._announce = segment, objects, announce

    async def __call__(
        self, project: dict[str, object], series_uid: str, model: str, frames: int, tell: Tell = _nobody
    ) -> None:
        """May run twice: the mask is content-addressed."""
        name = str(project["id"])
        merged: Mask | None = None
        answer: Answer | None = None
        parts: list[Segmented] = []
        for frame in range(frames):
            wish = Wish(project=name, series_uid=series_uid, model=model, frames=[frame], options=TOLD)
            answer = await self._segment(wish, Ticket(project=name, lane=Lane.BACKGROUND))
            merged = _merge(merged, answer.mask())
            parts.append(answer.segmented)
            await tell(frame + 1, frames)
        if answer is None or merged is None:
            return
        ref = await self._objects.put(
            encode_mask(merged),
            project=name,
            entity="series",
            id=series_uid,
            kind="proposal",
            media_type=NRRD,
            extension="nrrd",
        )
        await self._announce.proposed(replace(answer, parameters=described(parts)), ref, project)


def _merge(one: Mask | None, two: Mask) -> Mask:
    if one is None:
        return two
    return Mask(
        geometry=one.geometry,
        labels=np.maximum(one.labels, two.labels),
        table=one.table,
        annotated=one.annotated | two.annotated,
    )

"""A whole series as a proposal by one version, in pieces between which live requests go first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from irp_bundle import Options, Segmented
from irp_kernel import Mask, ObjectRef, encode_mask
from irp_kernel.codec import NRRD
from irp_kernel.errors import Aborted
from irp_kernel.ids import split_model

from irp_inference.app.described import described
from irp_inference.app.ports import Lane, Ticket
from irp_inference.app.segment_series import Answer, Segments, Wish
from irp_inference.app.whoever_serves import WhoeverServes

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What there is of a proposal."""

    mask: Mask
    last: Answer
    parts: list[Segmented]


class ProposeSeries:
    """Segment everything of a series and announce it."""

    def __init__(self, segment: Segments, whoever: WhoeverServes, objects: Objects, announce: Announce) -> None:
        self._segment, self._whoever, self._objects, self._announce = segment, whoever, objects, announce

    async def __call__(
        self, project: dict[str, object], series_uid: str, model: str, frames: int, tell: Tell = _nobody
    ) -> None:
        """May run twice: the mask is content-addressed.

        One version makes all of it, whoever becomes champion meanwhile; a canary that fails gives way for all of it.

        Raises:
            Aborted: the series was replaced meanwhile; what its job does next is done on the new one.
        """
        name, version = split_model(model)

        async def by(number: int) -> Made:
            return await self._made(project, series_uid, f"{name}@{number}", frames, tell)

        if version is None:
            made = await self._whoever(name, series_uid, by)
        else:
            made = await self._made(project, series_uid, model, frames, tell)
        ref = await self._objects.put(
            encode_mask(made.mask),
            project=str(project["id"]),
            entity="series",
            id=series_uid,
            kind="proposal",
            media_type=NRRD,
            extension="nrrd",
        )
        await self._announce.proposed(replace(made.last, parameters=described(made.parts)), ref, project)

    async def _made(self, project: dict[str, object], series_uid: str, model: str, frames: int, tell: Tell) -> Made:
        """Frame by frame, by the version that this names."""
        name, made = str(project["id"]), None
        for frame in range(frames):
            wish = Wish(project=name, series_uid=series_uid, model=model, frames=[frame], options=TOLD)
            answer = await self._segment(wish, Ticket(project=name, lane=Lane.BACKGROUND))
            made = _with(made, answer)
            model = f"{answer.model.name}@{answer.model.version}"  # an alias names another one tomorrow
            await tell(frame + 1, frames)
        if made is None:
            raise ValueError("a series has frames")
        return made


def _with(made: Made | None, answer: Answer) -> Made:
    if made is None:
        return Made(mask=answer.mask(), last=answer, parts=[answer.segmented])
    if answer.series.volume != made.last.series.volume:
        raise Aborted("the series was replaced meanwhile")
    return Made(mask=_merge(made.mask, answer.mask()), last=answer, parts=[*made.parts, answer.segmented])


def _merge(one: Mask, two: Mask) -> Mask:
    return Mask(
        geometry=one.geometry,
        labels=np.maximum(one.labels, two.labels),
        table=one.table,
        annotated=one.annotated | two.annotated,
    )

"""A model that takes marks: the encoder looks at a slice once, whoever clicks there, and each click costs the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from irp_bundle import Features, InteractiveSteps, Located, PromptsNeeded, Segmented, Steps, View
from irp_kernel import Volume

from irp_inference.app.drive import Drive
from irp_inference.app.ports import Loaded, Offload, Ticket
from irp_inference.domain.algorithms.marks import Marks, Place, require_usable
from irp_inference.domain.errors import PromptsNotValid

Encode = Callable[[Volume, Sequence[View]], Steps[list[Features]]]


class Seen(Protocol):
    """What encoders answered, by volume, model, frame, slice and window; bounded in bytes."""

    def get(self, key: str) -> Features | None:
        """What is known, or None."""
        ...

    def put(self, key: str, value: Features, size: int) -> None:
        """Keep it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heart:
    """A volume with its hash, and where the heart is in it."""

    volume: Volume
    sha256: str
    located: Located


class SegmentMarked:
    """Segments what is marked."""

    def __init__(self, drive: Drive, offload: Offload, seen: Seen) -> None:
        self._drive, self._offload, self._seen = drive, offload, seen

    async def __call__(self, marks: Mapping[Place, Marks], heart: Heart, model: Loaded, ticket: Ticket) -> Segmented:
        """Labels of the marked slices, which are every pair of some frames and slices.

        Raises:
            PromptsNeeded: nothing is marked, in one of the slices.
            PromptsNotValid: a mark lies nowhere, or is of a kind that the model does not take.
            ImageNotFinite, InferenceQueueFull, DeadlineExceeded: as SegmentSeries.
        """
        steps = model.interactive
        if not marks or steps is None:
            raise PromptsNeeded
        require_usable(marks, heart.volume.geometry.frames, heart.volume.geometry.shape)
        _require_taken(marks, steps)
        views = await self._offload(lambda: [_view(steps, place, one, heart) for place, one in marks.items()], ticket)
        began = time.perf_counter()
        features = await self._features(steps.encode, views, heart, model, ticket)
        encoded_ms = (time.perf_counter() - began) * 1000
        segmented = await self._drive(steps.segment(views, features, heart.located), model, ticket)
        segmented.report.timings_ms["encode"] = encoded_ms
        return segmented

    async def _features(
        self, encode: Encode, views: list[View], heart: Heart, model: Loaded, ticket: Ticket
    ) -> list[Features]:
        """Of each view; kept as soon as they are there: an ask that is superseded now has not seen in vain."""
        keys = [f"{heart.sha256}/{model.digest}/{view.frame}/{view.slice}/{view.window}" for view in views]
        known = {key: features for key in keys if (features := self._seen.get(key)) is not None}
        new = {key: view for key, view in zip(keys, views, strict=True) if key not in known}
        if new:
            found = await self._drive(encode(heart.volume, list(new.values())), model, ticket)
            for key, features in zip(new, found, strict=True):
                self._seen.put(key, features, features.nbytes)
                known[key] = features
        return [known[key] for key in keys]


def _view(steps: InteractiveSteps, place: Place, marks: Marks, heart: Heart) -> View:
    shape = heart.volume.geometry.shape[1:]
    inside, outside = (marks.region(shape, inside=side) for side in (True, False))
    return steps.view(place, inside, outside & ~inside, marks.boxed(shape), heart.located)


def _require_taken(marks: Mapping[Place, Marks], steps: InteractiveSteps) -> None:
    kinds = steps.prompts.kinds
    for one in marks.values():
        given = {"click": one.clicks, "box": one.boxes, "scribble": one.scribbles}
        if any(found and kind not in kinds for kind, found in given.items()):
            raise PromptsNotValid(f"this model takes {', '.join(kinds)}")

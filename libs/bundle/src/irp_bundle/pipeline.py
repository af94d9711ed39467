"""Two networks, one answer: locate the left ventricle in the whole slice, segment inside its window, put it back.

Where the heart is depends on the volume alone, never on which slices were asked: one slice asked alone gives the
same labels as in its series. Nothing here runs a network: the steps ask for forward passes (see `steps.py`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from irp_kernel import Volume
from irp_kernel.errors import InvalidArgument
from irp_kernel.mask import VALUE_OF

from irp_bundle.boxes import Located, whole
from irp_bundle.bundle import BACKGROUND, Bundle
from irp_bundle.errors import PromptsNeeded
from irp_bundle.estimate import judge
from irp_bundle.locating import Locating
from irp_bundle.post import Expected, post_process
from irp_bundle.seen import Seen, see
from irp_bundle.segmented import PLAIN, Options, PipelineReport, Segmented
from irp_bundle.segmenting import Segmenting
from irp_bundle.steps import Steps


class NoSuchSlice(InvalidArgument):
    """The request names a slice or a frame that the image does not have.

    Slices and frames count from 0; the detail says how many there are.
    """


class AugmentationsNotDeclared(InvalidArgument):
    """The model's bundle declares no mirrors or turns under which it is as good as without.

    Ask without `test_time_augmentation`, or push a bundle that declares `augment` in its `irp_pipeline`.
    """


class PipelineSteps:
    """A bundle's pipeline as steps that ask for forward passes. Holds no state between calls."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.spec = bundle, bundle.spec
        values = [0 if name == BACKGROUND else VALUE_OF[name] for name in bundle.channels]
        self._value_of_channel = np.asarray(values, dtype=np.uint8)

    def segment(
        self,
        volume: Volume,
        *,
        frames: Sequence[int] | None = None,
        slices: Sequence[int] | None = None,
        located: Located | None = None,
        options: Options = PLAIN,
    ) -> Steps[Segmented]:
        """Segment some or all slices and frames.

        Args:
            volume: (time, slice, row, column).
            frames: None or empty = all.
            slices: None or empty = all.
            located: stage 1's verdict on this volume, if it is known already.
            options: how.

        Raises:
            NoSuchSlice: a number is out of range.
            ImageNotFinite: the image holds NaN or infinity.
            AugmentationsNotDeclared: an option that the bundle does not allow.
            RegionTooLarge: a network with three axes would have to look at too many voxels.
            PromptsNeeded: the bundle segments what is marked: see `interactive`.
        """
        if self.spec.prompts is not None:
            raise PromptsNeeded
        wanted = (_wanted(frames, volume.geometry.frames), _wanted(slices, volume.geometry.shape[0]))
        if options.test_time_augmentation and not self.spec.augment:
            raise AugmentationsNotDeclared
        seen = see(volume, self.spec.orientation)
        began = time.perf_counter()
        located = (yield from self._locate(seen)) if located is None else located
        found = time.perf_counter()
        asked_frames, asked = wanted
        every = tuple(range(volume.geometry.shape[0])) if self.spec.looks_at_frames else asked
        segmenting = Segmenting(self.bundle, seen, located, asked_frames, every, options)
        yield from segmenting()
        segmented = time.perf_counter()
        answer = self._answer(seen, located, segmenting.narrowed(asked), options)
        if len(asked_frames) == len(asked) == 1:
            others = (number for number in every if number not in asked)
            beside = {n: self._answer(seen, located, segmenting.narrowed((n,)), options) for n in others}
            answer = replace(answer, beside=beside)
        seconds = {"locate": found - began, "segment": segmented - found, "post": time.perf_counter() - segmented}
        answer.report.timings_ms.update({stage: round(1e3 * each, 3) for stage, each in seconds.items()})
        return answer

    def locate(self, volume: Volume) -> Steps[Located]:
        """Stage 1: where the left ventricle is, in every slice; a function of the volume alone.

        Raises:
            ImageNotFinite: the image holds NaN or infinity.
        """
        return (yield from self._locate(see(volume, self.spec.orientation)))

    def _locate(self, seen: Seen) -> Steps[Located]:
        if "locate" not in self.bundle.stages:
            return whole(seen.array.shape[1], seen.plane)
        return (yield from Locating(self.spec.locate, seen)())

    def _answer(self, seen: Seen, located: Located, made: Segmenting, options: Options) -> Segmented:
        """Labels tidied, judged, and laid as the volume is stored."""
        frames, slices = made.frames, made.slices
        labels = self._value_of_channel[made.channels]
        expected = [Expected(row, column, located.box) for row, column, *_ in located.windows[list(slices)]]
        tidy, corrections = post_process(labels, self.spec.post, expected * len(frames))
        shape = (len(frames), len(slices), *seen.plane)
        tidy = tidy.reshape(shape)
        places = {name: number for number, name in enumerate(self.bundle.channels) if name != BACKGROUND}
        dice = made.expected_dice(places)
        estimate = judge(self.spec, located, slices, made.windows, tidy, corrections, seen.pixel_mm, dice)
        report = PipelineReport(
            located=located, slices=slices, frames=frames, corrections=corrections, parameters=made.parameters
        )
        return Segmented(
            labels=seen.as_stored(tidy),
            table=self.bundle.table,
            report=report,
            uncertainty=seen.as_stored(made.uncertainty.reshape(shape)) if made.uncertainty is not None else None,
            estimate=estimate,
            confidence=seen.as_stored(made.confidence.reshape(shape)) if made.confidence is not None else None,
        )


def _wanted(numbers: Sequence[int] | None, count: int) -> tuple[int, ...]:
    if not numbers:
        return tuple(range(count))
    if min(numbers) < 0 or max(numbers) >= count:
        raise NoSuchSlice(f"there are {count} of them", there_are=count)
    return tuple(sorted(set(numbers)))

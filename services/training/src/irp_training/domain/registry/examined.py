"""Models before the gate, on the same case files: Dice, how far probabilities can be believed, and how long it takes.

Calibration is the expected calibration error: pixels are sorted into ten bins by the probability of the strongest
channel; it is the mean, weighted by pixels, of how far each bin's probability is from its share of right pixels. Pixels
count that the model or an expert calls a structure, on slices on which every structure of the model was judged.
Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from irp_bundle import Bundle, Engine, Pipeline, dice_where_judged
from irp_bundle.segmented import Options
from irp_kernel import Mask, Volume, decode_mask, decode_volume
from numpy.typing import NDArray

from irp_training.domain.judging.clicked import answer_to_clicks
from irp_training.domain.judging.scores import as_far_as_judged, as_model_sees, judge_case, judged_frames
from irp_training.domain.learning.plan import FileBytes

BINS = 10
PAIRS = 7  # passes of each model that are timed, in turn
CONFIDENT = Options(confidence=True)
MOST = 255  # of a confidence: certain


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What was measured of one model.

    Attributes:
        scores: see `gate.Scores`: Dice by case and structure, of every structure that an expert judged there.
        calibration_error: 0 (what it says is so) to 1; None = no slice is judged whole, or the model takes marks.
        seconds_per_slice: of the fastest of several passes of the pipeline; 0 = not measured.
    """

    scores: Mapping[str, Mapping[str, float]]
    calibration_error: float | None = None
    seconds_per_slice: float = 0.0


@dataclass(slots=True)
class _Bins:
    """Per bin: pixels, their probabilities summed, and those that are right."""

    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros((3, BINS)))

    def add(self, confidence: NDArray[np.uint8], right: NDArray[np.bool_]) -> None:
        """Some pixels, flat."""
        share = confidence / MOST
        place = np.minimum((share * BINS).astype(int), BINS - 1)
        for row, weights in enumerate((None, share, right.astype(float))):
            self.sums[row] += np.bincount(place, weights, BINS)

    @property
    def error(self) -> float | None:
        """Expected calibration error; None without any pixel."""
        pixels, probability, right = self.sums
        return float(np.abs(probability - right).sum() / pixels.sum()) if pixels.any() else None


class _Pupil:
    """One model under examination."""

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self.pipeline = Pipeline(bundle, engine)
        self.scores: dict[str, Mapping[str, float]] = {}
        self.seconds: list[float] = []
        self._bins = _Bins()

    def judge(self, series: str, volume: Volume, truth: Mask) -> None:
        """Score one case."""
        if self.pipeline.bundle.spec.prompts is not None:
            self.scores[series] = judge_case(self.pipeline, volume, truth)
            return
        known = as_model_sees(truth, self.pipeline.bundle.structures)
        frames = judged_frames(known)
        if not frames:
            self.scores[series] = {}
            return
        found = self.pipeline.segment(volume, frames=frames, options=CONFIDENT)
        answer = as_far_as_judged(found.mask(volume.geometry), known)
        self.scores[series] = dice_where_judged(answer, known, self.pipeline.bundle.structures)
        whole = np.asarray(known.annotated.all(axis=2))[frames]  # (frame, slice)
        if found.confidence is not None and whole.any():
            said, drawn, sure = found.labels[whole], known.labels[frames][whole], found.confidence[whole]
            counted = ((said > 0) | (drawn > 0)) & (sure > 0)
            self._bins.add(sure[counted], (said == drawn)[counted])

    def time(self, volume: Volume, truth: Mask) -> None:
        """One timed answer on the frame that was judged first."""
        known = as_model_sees(truth, self.pipeline.bundle.structures)
        began = time.perf_counter()
        if self.pipeline.bundle.spec.prompts is None:
            self.pipeline.segment(volume, frames=judged_frames(known)[:1])
        else:
            answer_to_clicks(self.pipeline, volume, known)
        self.seconds.append((time.perf_counter() - began) / volume.geometry.shape[0])

    @property
    def examined(self) -> Examined:
        """What was measured."""
        # The fastest: whatever else the machine does can only add to it.
        fastest = min(self.seconds, default=0.0)
        return Examined(scores=self.scores, calibration_error=self._bins.error, seconds_per_slice=fastest)


def examine(
    models: Sequence[tuple[Bundle, Engine]],
    cases: Iterable[tuple[str, FileBytes, FileBytes]],
    tell: Callable[[int], None] = lambda done: None,
) -> tuple[Examined, ...]:
    """Measure each model on every case, and time them in turn, so that a busy machine is busy for all.

    Args:
        models: bundles, each with what runs it.
        cases: (series, volume file, mask file).
        tell: hears how many are measured.
    """
    pupils = [_Pupil(*model) for model in models]
    first: tuple[Volume, Mask] | None = None
    for number, (series, volume_file, mask_file) in enumerate(cases, 1):
        volume, truth = decode_volume(volume_file), decode_mask(mask_file)
        for pupil in pupils:
            pupil.judge(series, volume, truth)
        if first is None and all(pupil.scores[series] for pupil in pupils):
            first = volume, truth
        tell(number)
    if first is not None and len(pupils) > 1:
        for _ in range(PAIRS):
            for pupil in pupils:
                pupil.time(*first)
    return tuple(pupil.examined for pupil in pupils)

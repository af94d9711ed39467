"""What a reader should look at twice, said without knowing the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from irp_kernel.mask import VALUE_OF
from numpy.typing import NDArray

from irp_bundle.boxes import LEFT_VENTRICLE, Located
from irp_bundle.spec import PipelineSpec

LOW_DICE = 0.92  # below, the reader is warned: networks expect too much of themselves, see docs/adr/0024
PLAUSIBILITY = ("near_previous", "one_pool")  # corrections that mean: the network was wrong

WARNINGS: Mapping[str, str] = MappingProxyType(
    {
        "nothing-found": "Nothing was found in what was asked.",
        "heart-not-located": "Stage 1 did not find the heart; the middle of the image was looked at.",
        "window-from-neighbours": "Stage 1 did not find the heart in these slices; their neighbours say where it is.",
        "touches-window": "A structure touches the border of the window and may be cut off.",
        "touches-border": "A region reaches the border of the image: it has leaked, or is cut off there.",
        "implausible": "Parts that no heart has were removed.",
        "foreign-spacing": "The image's pixel spacing is outside the range that the model was made for.",
        "low-confidence": f"Less sure than on clear images: the network expects a Dice below {LOW_DICE}.",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How far an answer can be trusted.

    Attributes:
        warnings: keys of WARNINGS.
        expected_dice: per structure, what the network's probabilities expect (see `certainty.soft_dice`); an
            overconfident network expects too much. Empty = it was not asked for.
    """

    warnings: tuple[str, ...] = ()
    expected_dice: Mapping[str, float] = field(default_factory=dict)

    @property
    def dice(self) -> float | None:
        """The mean of the structures' expected Dice; None = not known."""
        return float(np.mean(list(self.expected_dice.values()))) if self.expected_dice else None

    @property
    def texts(self) -> list[str]:
        """The warnings in words."""
        return [WARNINGS[warning] for warning in self.warnings]


def judge(
    spec: PipelineSpec,
    located: Located,
    slices: tuple[int, ...],
    windows: NDArray[np.float64],
    labels: NDArray[np.uint8],
    corrected: Mapping[str, int],
    pixel_mm: tuple[float, float],
    expected_dice: Mapping[str, float],
) -> Estimate:
    """The rules, on what was asked.

    Args:
        spec: the pipeline.
        located: stage 1's verdict.
        slices: those that were asked.
        windows: (asked slices, 3 or 4): what stage 2 looked at.
        labels: canonical, (frame, slice, row, column) of what was asked.
        corrected: slices per rule of `post.py`.
        pixel_mm: row and column spacing.
        expected_dice: per structure; empty = not asked for.
    """
    outcomes = {located.outcomes[number] for number in slices}
    low, high = spec.spacing_range
    found = {
        "nothing-found": not labels.any(),
        "heart-not-located": outcomes == {"centre"},
        "window-from-neighbours": outcomes == {"neighbour"},
        "touches-window": _touches(labels, windows),
        "implausible": any(corrected.get(rule) for rule in PLAUSIBILITY),
        "foreign-spacing": bool(high) and not all(low <= step <= high for step in pixel_mm),
        "low-confidence": any(value < LOW_DICE for value in expected_dice.values()),
    }
    return Estimate(warnings=tuple(key for key, here in found.items() if here), expected_dice=expected_dice)


def _touches(labels: NDArray[np.uint8], windows: NDArray[np.float64]) -> bool:
    """True if the left ventricle reaches the border of its window, inside the image."""
    left = np.isin(labels, [VALUE_OF[name] for name in LEFT_VENTRICLE])
    regions: NDArray[np.bool_] = np.any(left, axis=0)
    return any(_at_border(region, window) for region, window in zip(regions, windows, strict=True))


def _at_border(region: NDArray[np.bool_], window: NDArray[np.float64]) -> bool:
    """Region (row, column) of one slice; window (row, column, side) or (row, column, height, width)."""
    for axis, (middle, side) in enumerate(zip(window[:2], (window[2], window[-1]), strict=True)):
        along = np.flatnonzero(region.any(axis=1 - axis))
        if not along.size:
            return False
        first, last = np.ceil(middle - side / 2), np.floor(middle + side / 2)
        inside = (first > 0 and along[0] <= first) or (last < region.shape[axis] - 1 and along[-1] >= last)
        if inside:
            return True
    return False

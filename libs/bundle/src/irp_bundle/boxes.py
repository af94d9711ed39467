"""Stage 1's answers become one window per slice, agreed over the series.

The left ventricle hardly moves from frame to frame and lies on a line through the slices: a box that its neighbours
contradict is an error of the network, and a slice without a box (above the base, below the apex) takes the line.
All slices share one side, so that the heart has a standard size and tapers as it does in the patient.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from irp_kernel import Mask
from numpy.typing import NDArray
from scipy import ndimage

Outcome = Literal["located", "neighbour", "centre", "whole"]

# What stage 1 calls "left ventricle".
LEFT_VENTRICLE = ("lv_blood_pool", "lv_myocardium", "scar", "no_reflow")

FAR_OFF = 0.25  # box sizes between a slice's own centre and the line through all: beyond, the line is believed
SIZE_PERCENTILE = 75.0  # of the slices' box sizes: the size of the ventricle's middle, untouched by base and apex
CENTRE_SIDE = 0.75  # of the shorter image side: the window where nothing was found anywhere
BEYOND = 1.0  # slices by which the line is continued past the outermost box


@dataclass(frozen=True, slots=True)
class Box:
    """Where the left ventricle is in one slice.

    Attributes:
        row: centre, pixels.
        column: centre, pixels.
        size: longer side, pixels.
    """

    row: float
    column: float
    size: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Located:
    """Stage 1's verdict on a volume.

    Attributes:
        windows: float64 (slice, 3): row, column, side of the crop in pixels.
        outcomes: per slice, how the window came to be.
        box: float, agreed size of the left ventricle in pixels; 0 if it was found nowhere.
    """

    windows: NDArray[np.float64]
    outcomes: tuple[Outcome, ...]
    box: float


def left_ventricle(mask: Mask) -> NDArray[np.bool_]:
    """Truth for stage 1: bool (time, slice, row, column), the union of the ventricle's structures."""
    names = [name for name in LEFT_VENTRICLE if name in mask.table.names]
    union = np.zeros(mask.labels.shape, dtype=np.bool_)
    for name in names:
        union |= mask.of(name)
    return union


def box_of(region: NDArray[np.bool_], min_pixels: int = 1) -> Box | None:
    """Box of the largest connected piece of region (row, column); None if it is smaller than min_pixels."""
    pieces, count = ndimage.label(region)
    if count == 0:
        return None
    areas = np.bincount(pieces.ravel())[1:]
    best = int(areas.argmax())
    if areas[best] < min_pixels:
        return None
    rows, columns = ndimage.find_objects(pieces)[best]
    height, width = rows.stop - rows.start, columns.stop - columns.start
    return Box((rows.start + rows.stop - 1) / 2, (columns.start + columns.stop - 1) / 2, float(max(height, width)))


def box_to_image(box: Box, window: NDArray[np.float64], size: int) -> Box:
    """A box on the crop's grid of size x size -> the same box in the image's pixels; window as in `sampling.py`."""
    down, across = float(window[2]) / size, float(window[-1]) / size
    middle = (size - 1) / 2
    return Box(
        float(window[0]) + (box.row - middle) * down,
        float(window[1]) + (box.column - middle) * across,
        box.size * math.sqrt(down * across),
    )


def agree(
    boxes: Iterable[tuple[int, Box]], slices: int, shape: tuple[int, int], *, margin: float, fallback: str = "neighbour"
) -> Located:
    """Windows for all slices from the boxes of some (slice, Box), several frames together.

    Args:
        boxes: found boxes; a slice may appear once per frame.
        slices: number of slices.
        shape: (rows, columns).
        margin: window's side in box sizes.
        fallback: "neighbour" or "centre".
    """
    own = _per_slice(boxes)
    if not own:
        return _centred(slices, shape)
    size = float(np.percentile([box.size for box in own.values()], SIZE_PERCENTILE))
    line = _Line(own)
    windows, outcomes = np.empty((slices, 3)), list[Outcome]()
    for number in range(slices):
        centre, outcome = _decide(own.get(number), line.at(number), size, shape, fallback)
        windows[number] = (*centre, size * margin)
        outcomes.append(outcome)
    return Located(windows=windows, outcomes=tuple(outcomes), box=size)


def windows_of_truth(mask: Mask, *, margin: float) -> Located:
    """The windows that a perfect stage 1 would give: training's crops.

    A slice's box is taken over the frames on which the ventricle was drawn.
    """
    truth = left_ventricle(mask)
    found = [
        (number, box)
        for frame in range(truth.shape[0])
        for number in range(truth.shape[1])
        if (box := box_of(truth[frame, number])) is not None
    ]
    return agree(found, truth.shape[1], (truth.shape[2], truth.shape[3]), margin=margin)


def whole(slices: int, shape: tuple[int, int]) -> Located:
    """Windows that hold whole slices: a bundle with one stage."""
    window = ((shape[0] - 1) / 2, (shape[1] - 1) / 2, float(max(shape)))
    outcome: Outcome = "whole"
    return Located(windows=np.tile(window, (slices, 1)), outcomes=(outcome,) * slices, box=0.0)


def _centred(slices: int, shape: tuple[int, int]) -> Located:
    window = ((shape[0] - 1) / 2, (shape[1] - 1) / 2, CENTRE_SIDE * min(shape))
    outcome: Outcome = "centre"
    return Located(windows=np.tile(window, (slices, 1)), outcomes=(outcome,) * slices, box=0.0)


def _per_slice(boxes: Iterable[tuple[int, Box]]) -> dict[int, Box]:
    """Median over the frames of each slice."""
    grouped: dict[int, list[tuple[float, float, float]]] = {}
    for number, box in boxes:
        grouped.setdefault(number, []).append((box.row, box.column, box.size))
    return {number: Box(*(float(x) for x in np.median(rows, axis=0))) for number, rows in grouped.items()}


def _decide(
    own: Box | None, line: tuple[float, float], size: float, shape: tuple[int, int], fallback: str
) -> tuple[tuple[float, float], Outcome]:
    if own is not None and np.hypot(own.row - line[0], own.column - line[1]) <= FAR_OFF * size:
        return (own.row, own.column), "located"
    if fallback == "centre":
        return ((shape[0] - 1) / 2, (shape[1] - 1) / 2), "centre"
    return line, "neighbour"


class _Line:
    """Theil-Sen line through the boxes' centres over the slice number: half of them may be wrong."""

    def __init__(self, boxes: dict[int, Box]) -> None:
        self._numbers = np.asarray(sorted(boxes), dtype=np.float64)
        self._rows = self._fit(np.asarray([boxes[int(n)].row for n in self._numbers]))
        self._columns = self._fit(np.asarray([boxes[int(n)].column for n in self._numbers]))

    def _fit(self, values: NDArray[Any]) -> tuple[float, float]:
        i, j = np.triu_indices(len(values), k=1)
        slope = float(np.median((values[j] - values[i]) / (self._numbers[j] - self._numbers[i]))) if i.size else 0.0
        return slope, float(np.median(values - slope * self._numbers))

    def at(self, number: int) -> tuple[float, float]:
        """Centre (row, column) at a slice, continued at most one slice past the outermost box."""
        x = float(np.clip(number, self._numbers[0] - BEYOND, self._numbers[-1] + BEYOND))
        return self._rows[0] * x + self._rows[1], self._columns[0] * x + self._columns[1]

"""What a reader marked on one slice: clicks, boxes, scribbles; positions in pixels, pixel centres are integers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import line

from irp_inference.domain.errors import PromptsNotValid

Region = NDArray[np.bool_]
Place = tuple[int, int]  # (frame, slice)
MOST_MARKS, MOST_POINTS = 200, 2000
MOST_SLICES, MOST_POINTS_IN_ALL = 64, 8000  # of one request: so many are read and hashed in some milliseconds
LARGEST = 256 * 256  # pixels that a method looks at, where its time grows faster than they do


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """A point that belongs to the structure, or does not."""

    row: float
    column: float
    inside: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle around the structure; both ends are part of it."""

    row_first: float
    column_first: float
    row_last: float
    column_last: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scribble:
    """A line through points (row, column) that belong to the structure, or do not."""

    points: tuple[tuple[float, float], ...]
    inside: bool = True
    width: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Everything that was marked on one slice."""

    clicks: Sequence[Click] = ()
    boxes: Sequence[Box] = ()
    scribbles: Sequence[Scribble] = ()

    def require_on(self, shape: tuple[int, int]) -> None:
        """Raise PromptsNotValid unless every mark is finite, on the image, and there are not too many."""
        points = [(c.row, c.column) for c in self.clicks]
        points += [p for b in self.boxes for p in ((b.row_first, b.column_first), (b.row_last, b.column_last))]
        points += [p for s in self.scribbles for p in s.points]
        if len(self.clicks) + len(self.boxes) + len(self.scribbles) > MOST_MARKS or len(points) > MOST_POINTS:
            raise PromptsNotValid(f"at most {MOST_MARKS} marks and {MOST_POINTS} points", limit=MOST_MARKS)
        for row, column in points:
            if not (isfinite(row) and isfinite(column) and 0 <= row <= shape[0] - 1 and 0 <= column <= shape[1] - 1):
                raise PromptsNotValid(f"a mark lies outside of the image of {shape[0]} x {shape[1]} pixels")
        if any(not 0 < s.width <= min(shape) for s in self.scribbles):
            raise PromptsNotValid("a scribble's width is above 0 and at most the image's side")

    @property
    def has_boxes(self) -> bool:
        """Whether a box bounds what is found."""
        return bool(self.boxes)

    def region(self, shape: tuple[int, ...], *, inside: bool) -> Region:
        """Pixels that were marked as inside (or outside): clicks and scribbles."""
        found = np.zeros(shape, np.bool_)
        for click in self.clicks:
            if click.inside is inside:
                found[round(click.row), round(click.column)] = True
        for scribble in self.scribbles:
            if scribble.inside is inside:
                found |= _drawn(scribble, shape)
        return found

    def frame(self, shape: tuple[int, ...], margin: int, most: int = LARGEST) -> tuple[slice, slice]:
        """Rows and columns of the smallest rectangle around all marks, with a margin, within the image.

        Raises:
            PromptsNotValid: it has more than `most` pixels.
        """
        everything = self.region(shape, inside=True) | self.region(shape, inside=False) | self.boxed(shape)
        rows, columns = np.nonzero(everything)
        top, left = max(int(rows.min()) - margin, 0), max(int(columns.min()) - margin, 0)
        bottom, right = min(int(rows.max()) + margin + 1, shape[0]), min(int(columns.max()) + margin + 1, shape[1])
        if (bottom - top) * (right - left) > most:
            raise PromptsNotValid(f"the marks and their margin span more than {most} pixels: mark a smaller part")
        return slice(top, bottom), slice(left, right)

    def boxed(self, shape: tuple[int, ...]) -> Region:
        """Pixels within any box."""
        found = np.zeros(shape, np.bool_)
        for box in self.boxes:
            rows = sorted((round(box.row_first), round(box.row_last)))
            columns = sorted((round(box.column_first), round(box.column_last)))
            found[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1] = True
        return found


def fingerprint(marks: Mapping[Place, Marks]) -> str:
    """SHA-256 of everything that was marked."""
    said = json.dumps({f"{frame}/{number}": repr(marked) for (frame, number), marked in sorted(marks.items())})
    return hashlib.sha256(said.encode()).hexdigest()


def require_usable(marks: Mapping[Place, Marks], frames: int, shape: tuple[int, int, int]) -> None:
    """Raise PromptsNotValid unless all lie on a series of so many frames of (slices, rows, columns)."""
    slices, rows, columns = shape
    if not 0 < len(marks) <= MOST_SLICES:
        raise PromptsNotValid(f"mark 1 to {MOST_SLICES} slices")
    for (frame, number), marked in marks.items():
        if not (0 <= frame < frames and 0 <= number < slices):
            raise PromptsNotValid(f"a mark lies on a slice that is not there: {slices} slices, {frames} frames")
        marked.require_on((rows, columns))


def _drawn(scribble: Scribble, shape: tuple[int, ...]) -> Region:
    found = np.zeros(shape, np.bool_)
    points = [(round(row), round(column)) for row, column in scribble.points]
    for (r0, c0), (r1, c1) in zip(points, points[1:] or points, strict=False):
        found[line(r0, c0, r1, c1)] = True
    radius = (scribble.width - 1) / 2
    if radius <= 0 or not found.any():
        return found
    return np.asarray(ndimage.distance_transform_edt(~found) <= radius, np.bool_)

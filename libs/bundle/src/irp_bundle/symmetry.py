"""Mirrors and quarter turns of slices: exact, and undone exactly. For orientation, and for looking again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

S = TypeVar("S", bound=np.generic)

AS_STORED = "as-stored"
TRANSPOSED = "transposed"  # as stored, but rows are columns: a file whose first axis is the column, read as it lies

# PS3.3 C.7.6.1.1.1: letters of Patient Orientation, as directions in LPS coordinates.
LETTERS: Mapping[str, tuple[int, int, int]] = {
    "L": (1, 0, 0),
    "R": (-1, 0, 0),
    "P": (0, 1, 0),
    "A": (0, -1, 0),
    "H": (0, 0, 1),
    "F": (0, 0, -1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Symmetry:
    """One of the eight ways to lay a slice's pixels.

    Attributes:
        swap: rows become columns, before the mirrors.
        flip_rows: the last row comes first.
        flip_columns: the last column comes first.
    """

    swap: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, images: NDArray[S]) -> NDArray[S]:
        """(..., row, column) -> the same pixels laid anew; a view."""
        return self._mirror(np.swapaxes(images, -1, -2) if self.swap else images)

    def undo(self, images: NDArray[S]) -> NDArray[S]:
        """The way back; a view."""
        mirrored = self._mirror(images)
        return np.swapaxes(mirrored, -1, -2) if self.swap else mirrored

    def _mirror(self, images: NDArray[S]) -> NDArray[S]:
        rows, columns = (slice(None, None, -1 if flip else 1) for flip in (self.flip_rows, self.flip_columns))
        return images[..., rows, columns]


IDENTITY = Symmetry()

# Names as `augment` says them; a turn is against the clock.
SYMMETRIES: Mapping[str, Symmetry] = {
    "flip-rows": Symmetry(flip_rows=True),
    "flip-columns": Symmetry(flip_columns=True),
    "turn-90": Symmetry(swap=True, flip_rows=True),
    "turn-180": Symmetry(flip_rows=True, flip_columns=True),
    "turn-270": Symmetry(swap=True, flip_columns=True),
    "transpose": Symmetry(swap=True),
    "anti-transpose": Symmetry(swap=True, flip_rows=True, flip_columns=True),
}


def towards(orientation: str, matrix: NDArray[np.float64]) -> Symmetry:
    """The symmetry after which columns and rows run as nearly as possible where `orientation` says.

    Args:
        orientation: two letters of LETTERS: where increasing columns lead, then increasing rows (Patient Orientation
            (0020,0020)); or AS_STORED, or TRANSPOSED.
        matrix: 4 x 4, (slice, row, column, 1) -> LPS mm.
    """
    if orientation in {AS_STORED, TRANSPOSED}:
        return Symmetry(swap=orientation == TRANSPOSED)
    along_rows, along_columns = (matrix[:3, axis] / np.linalg.norm(matrix[:3, axis]) for axis in (1, 2))
    to_column, to_row = (np.asarray(LETTERS[letter], dtype=np.float64) for letter in orientation)

    def likeness(way: Symmetry) -> float:
        rows, columns = (along_columns, along_rows) if way.swap else (along_rows, along_columns)
        signs = [-1.0 if flip else 1.0 for flip in (way.flip_rows, way.flip_columns)]
        return round(float(signs[0] * rows @ to_row + signs[1] * columns @ to_column), 9)

    every = (Symmetry(swap=s, flip_rows=r, flip_columns=c) for s, r, c in product((False, True), repeat=3))
    return max(every, key=likeness)  # the first of equals, the identity before all


def is_orientation(value: Any) -> bool:
    """True for AS_STORED, TRANSPOSED, and two letters of different axes."""
    if value in (AS_STORED, TRANSPOSED):
        return True
    if not isinstance(value, str) or len(value) != 2 or not set(value) <= set(LETTERS):
        return False
    one, two = (np.abs(LETTERS[letter]) for letter in value)
    return bool(one @ two == 0)

"""Slices that a method looks at together, and what was marked anywhere in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from irp_inference.domain.algorithms.marks import Box, Marks, Region
from irp_inference.domain.errors import TooMuchToLookAt

AROUND = 2  # pixels around a mark that look as it does
MOST_VOXELS = 16 << 20  # of one frame: 64 MB as float32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stack:
    """Slices of one frame.

    Attributes:
        image: (slice, row, column), float32.
        spacing_mm: between neighbours along each axis of the image.
        going: to be called before each long step; raises if nobody waits any more, or if it takes too long.
    """

    image: NDArray[np.float32]
    spacing_mm: tuple[float, float, float]
    going: Callable[[], None]


class Marked(Protocol):
    """What was marked: on a slice (`Marks`), or on a stack of them."""

    @property
    def has_boxes(self) -> bool:
        """Whether a box bounds what is found."""
        ...

    def region(self, shape: tuple[int, ...], *, inside: bool) -> Region:
        """Where clicks and scribbles are."""
        ...

    def boxed(self, shape: tuple[int, ...]) -> Region:
        """What lies within a box."""
        ...


@dataclass(frozen=True, slots=True)
class StackMarks:
    """Marks by slice of the stack. A box bounds rows and columns of every slice, whichever it was drawn on."""

    by_slice: Mapping[int, Marks]

    @property
    def has_boxes(self) -> bool:
        """See Marked."""
        return any(marks.has_boxes for marks in self.by_slice.values())

    def region(self, shape: tuple[int, ...], *, inside: bool) -> Region:
        """See Marked."""
        found = np.zeros(shape, np.bool_)
        for number, marks in self.by_slice.items():
            found[number] = marks.region(shape[1:], inside=inside)
        return found

    def boxed(self, shape: tuple[int, ...]) -> Region:
        """See Marked."""
        boxes: list[Box] = [box for marks in self.by_slice.values() for box in marks.boxes]
        return np.broadcast_to(Marks(boxes=boxes).boxed(shape[1:]), shape)


def around(region: Region, reach: tuple[int, ...], most: int) -> tuple[slice, ...]:
    """The smallest block that holds a region, with so many voxels more on each side, within the image.

    Raises:
        TooMuchToLookAt: it has more than `most` voxels.
    """
    places = np.nonzero(region)
    block = tuple(
        slice(max(int(where.min()) - more, 0), min(int(where.max()) + more + 1, size))
        for where, more, size in zip(places, reach, region.shape, strict=True)
    )
    voxels = int(np.prod([part.stop - part.start for part in block]))
    if voxels > most:
        raise TooMuchToLookAt(
            f"the marks and what is around them are {voxels} voxels; {most} are looked at", limit=most
        )
    return block


def neighbourhood(spacing: tuple[float, ...]) -> Region:
    """What lies within AROUND of the finest spacing from a pixel, by steps along the axes.

    The neighbours of a thick slice lie farther away.
    """
    near = AROUND * min(spacing)
    steps = [np.arange(-int(near / mm), int(near / mm) + 1) * mm for mm in spacing]
    far = sum(np.abs(step) for step in np.meshgrid(*steps, indexing="ij", sparse=True))
    return np.asarray(far <= near * (1 + 1e-9), np.bool_)

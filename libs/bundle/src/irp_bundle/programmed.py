"""A program at work: an image is prepared, looked at, and the answer brought back to its own grid. See program.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from irp_bundle.networks import Stage
from irp_bundle.pieces import keep_largest
from irp_bundle.prepare import as_images
from irp_bundle.program import Program, Scaling
from irp_bundle.program_space import Back, Placed
from irp_bundle.scores import softmax
from irp_bundle.steps import Steps
from irp_bundle.tiles import tile

TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # from LPS
FILE_ORDER = [2, 1, 0, 3]  # (slice, row, column) -> (column, row, slice)


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One image of a frame, as the program wants it.

    Attributes:
        slices: of the volume that the answer is wanted for.
        image: in the order of a file's axes.
    """

    slices: tuple[int, ...]
    image: Placed


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a network said of a unit.

    Attributes:
        program: whose.
        unit: of which.
        raw: float32 (channel, *axes) on the network's grid.
        ways: back to the image's own grid; the last is the first to go.
    """

    program: Program
    unit: Unit
    raw: Tensor
    ways: tuple[Back, ...]

    def labels(self) -> NDArray[np.uint8]:
        """The strongest channel on the image's grid: (asked slice, row, column)."""
        after, scores = self.program.after, _activated(self.raw, self.program.after.activation)
        if after.back == "scores":
            found = self._strongest_on_image(scores)
        else:
            found = scores.argmax(dim=0).to(torch.uint8).numpy()
            if after.largest is not None and after.largest.on == "grid":
                keep_largest(found, after.largest)
            if after.back == "labels":
                found = self._brought(torch.from_numpy(found)[None].float(), nearest=True)[0].to(torch.uint8).numpy()
        if after.largest is not None and after.largest.on == "image":
            keep_largest(found, after.largest)
        return self._laid(found)

    def on_image(self, values: Tensor) -> NDArray[np.uint8]:
        """A map of numbers from 0 to 255 on the network's grid, (1, *axes) -> (asked slice, row, column)."""
        return self._laid(self._brought(values, nearest=False)[0].round().to(torch.uint8).numpy())

    def probabilities(self) -> NDArray[np.float32]:
        """Softmax of what the network said, (1, channel, *axes) on its grid."""
        return softmax(self.raw[None].numpy())

    def _strongest_on_image(self, scores: Tensor) -> NDArray[np.uint8]:
        """Channel by channel: all of them on a fine image would not fit."""
        best = self._brought(scores[:1], self.program.after.nearest)[0]
        found = torch.zeros(best.shape, dtype=torch.uint8)
        for channel in range(1, len(scores)):
            here = self._brought(scores[channel : channel + 1], self.program.after.nearest)[0]
            found[here > best] = channel
            best = torch.maximum(best, here)
        return np.ascontiguousarray(found.numpy())

    def _brought(self, values: Tensor, nearest: bool) -> Tensor:
        for way in reversed(self.ways):
            values = way(values, nearest)
        return values

    def _laid(self, found: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.program.unit == "slice":
            return found.T[None]
        return np.asarray(found.transpose(2, 1, 0)[list(self.unit.slices)])


def units(
    program: Program, frame: NDArray[np.generic], matrix: NDArray[np.float64], slices: Sequence[int]
) -> Iterator[Unit]:
    """The images of which the asked slices are answered.

    Args:
        program: the program.
        frame: (slice, row, column).
        matrix: (slice, row, column, 1) -> LPS mm.
        slices: asked, ascending.

    Raises:
        ImageNotFinite: a value is NaN or infinite.
        RegionTooLarge: it has too many voxels.
    """
    # A header's places have 24 bits, and whether an image is askew by the last of them says where its grid begins.
    affine = (TO_RAS @ matrix[:, FILE_ORDER]).astype(np.float32).astype(np.float64)
    if program.unit == "frame":
        values = as_images(frame)[:, 0].permute(2, 1, 0)
        yield Unit(tuple(slices), Placed(values[None], affine))
        return
    for number in slices:
        values = as_images(frame[number : number + 1])[0].transpose(1, 2)
        yield Unit((number,), Placed(values, np.eye(3)))  # a slice by itself has no place


def look(program: Program, unit: Unit, members: Sequence[Stage]) -> Steps[Answer]:
    """Prepare an image, and ask the networks.

    Raises:
        RegionTooLarge: a step makes too many voxels of it.
    """
    image, ways = unit.image, list[Back]()
    for step in program.before:
        if isinstance(step, Scaling):
            image = Placed(step.scaled(image.values), image.affine)
        else:
            image, way = step.moved(image)
            ways.append(way)
    if program.look.by == "slices":
        axis = program.look.axis + 1
        scores = yield from tile(image.values.movedim(axis, 0), program.look, members, ())
        scores = scores.movedim(0, axis)
    else:
        scores = (yield from tile(image.values[None], program.look, members, ()))[0]
    return Answer(program, unit, scores, tuple(ways))


def _activated(scores: Tensor, how: str) -> Tensor:
    if how == "softmax":
        return scores.softmax(dim=0)
    return scores.sigmoid() if how == "sigmoid" else scores

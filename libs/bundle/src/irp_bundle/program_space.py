"""Steps that lay an image anew in space, each with its way back: MONAI's Orientation and Spacing.

An image is (channel, *axes) float32 with its affine, (axis..., 1) -> RAS mm. A way back takes (channel, *axes) of the
new grid to the old one, by the step's own mode or, if asked, from the nearest voxel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from irp_bundle.errors import PipelineNotValid, RegionTooLarge
from irp_bundle.plain import flag, numbers, word, words_of
from irp_bundle.resampling import Affine, Mode, Padding, Sampling, regridded, resampled

LETTERS = ("LR", "PA", "IS")  # of an axis of the world: where it begins, where it leads
SAME = 1e-3  # mm, and of a step: below, MONAI leaves an image as it is (its AFFINE_TOL)
MAX_VOXELS = 32_000_000  # of one image, in any of its grids

Back = Callable[[Tensor, bool], Tensor]  # (values, from the nearest voxel)


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """An image on its way to the network.

    Attributes:
        values: float32 (channel, *axes).
        affine: (axes + 1) x (axes + 1), index -> RAS mm.
    """

    values: Tensor
    affine: Affine

    def __post_init__(self) -> None:
        self.require_room_for(self.size)

    @property
    def size(self) -> tuple[int, ...]:
        """Voxels along the axes."""
        return tuple(self.values.shape[1:])

    def require_room_for(self, size: Sequence[int]) -> None:
        """Raise RegionTooLarge where an image of this size, with as many channels, is beyond MAX_VOXELS.

        Steps ask before they make one: afterwards the memory is taken.
        """
        if len(self.values) * prod(size) > MAX_VOXELS:
            raise RegionTooLarge(limit_voxels=MAX_VOXELS)

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """Along the axes."""
        return np.asarray(np.linalg.norm(self.affine[:-1, :-1], axis=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Orient:
    """Axes swapped and mirrored until they lead as nearly as possible where `to` says: three of L, R, A, P, S, I."""

    to: str

    def __post_init__(self) -> None:
        if not isinstance(self.to, str) or sorted(map(_axis_of, self.to)) != [0, 1, 2]:
            raise PipelineNotValid("`orient.to` is three of L, R, A, P, S, I on different axes, such as RAS")

    def moved(self, image: Placed) -> tuple[Placed, Back]:
        """The image, and the way back, which is exact."""
        leads = directions(image.affine)
        order = [next(axis for axis, (world, _) in enumerate(leads) if world == _axis_of(letter)) for letter in self.to]
        signs = [1 if letter == LETTERS[_axis_of(letter)][1] else -1 for letter in self.to]
        mirrored = [axis for axis, sign in zip(order, signs, strict=True) if leads[axis][1] != sign]
        flips = [1 + axis for axis in mirrored]
        values = image.values.flip(flips).permute(0, *(1 + axis for axis in order))
        affine = image.affine.copy()
        for axis in mirrored:
            affine[:, -1] += affine[:, axis] * (image.size[axis] - 1)
            affine[:, axis] *= -1
        affine = affine[:, [*order, 3]]
        undo = [0, *(1 + order.index(axis) for axis in range(3))]
        return Placed(values, affine), lambda back, _: back.permute(undo).flip(flips)


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Voxels of another size, along the image's own axes; see `regridded`.

    Attributes:
        mm: of a voxel along each axis; 0 = as it is. Where an axis has it but for 0.001 mm, it stays as it is.
        mode, padding, corners: see Sampling.
    """

    mm: tuple[float, float, float]
    mode: Mode = "bilinear"
    padding: Padding = "border"
    corners: bool = False

    def __post_init__(self) -> None:
        found = numbers(self.mm, "space.mm", 0, 100, (3,))
        word(self.mode, "space.mode", words_of(Mode))
        word(self.padding, "space.padding", words_of(Padding))
        flag(self.corners, "space.corners")
        object.__setattr__(self, "mm", found)

    def moved(self, image: Placed) -> tuple[Placed, Back]:
        """The image, and the way back.

        Raises:
            RegionTooLarge: beyond MAX_VOXELS.
        """
        wanted, now, old = np.asarray(self.mm), image.spacing_mm, image.size
        wanted = np.where((np.abs(now - wanted) <= SAME) | (wanted <= 0), now, wanted)
        affine, new = regridded(image.affine, old, wanted)
        there = np.asarray(np.linalg.solve(image.affine, affine), np.float64)
        still = np.allclose(there, np.eye(4), atol=SAME) or np.allclose(image.affine, affine, atol=SAME)
        if new == old and still:
            return image, lambda back, _: back
        image.require_room_for(new)
        how, nearest_how = Sampling(self.mode, self.padding, self.corners), Sampling("nearest", self.padding)
        values, affine = resampled(image.values, there, new, how), image.affine @ there
        again = np.asarray(np.linalg.solve(affine, image.affine), np.float64)

        def back(values: Tensor, nearest: bool) -> Tensor:
            return resampled(values, again, old, nearest_how if nearest else how)

        return Placed(values, affine), back


def directions(affine: Affine) -> list[tuple[int, int]]:
    """Per axis of an image the axis of the world that it runs along most, and whether with it (1) or against it (-1).

    The strongest axis chooses first, and each axis of the world is given once. Source: nibabel's io_orientation.
    """
    block = affine[:-1, :-1]
    left, _, right = np.linalg.svd(block / np.linalg.norm(block, axis=0), full_matrices=False)
    turned = left @ right
    found: dict[int, tuple[int, int]] = {}
    for axis in np.argsort(-np.square(turned).max(axis=0), kind="stable"):
        world = int(np.argmax(np.abs(turned[:, axis])))
        found[int(axis)] = world, 1 if turned[world, axis] > 0 else -1
        turned[world] = 0
    return [found[axis] for axis in range(len(block))]


def _axis_of(letter: str) -> int:
    return next((axis for axis, letters in enumerate(LETTERS) if letter in letters), -1)

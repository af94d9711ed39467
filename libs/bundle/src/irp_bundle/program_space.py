"""Steps that change an image's grid, each with its way back: MONAI's Orientation, Spacing, Resize and CropForeground.

An image is (channel, *axes) float32 with its affine, (axis..., 1) -> RAS mm. A way back takes (channel, *axes) of the
new grid to the old one, by the step's own mode or, if asked, from the nearest voxel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from irp_bundle.errors import PipelineNotValid, RegionTooLarge
from irp_bundle.plain import flag, number, numbers, word, words_of
from irp_bundle.resampling import Affine, Mode, regridded, resampled

LETTERS = ("LR", "PA", "IS")  # of an axis of the world: where it begins, where it leads
SAME = 1e-3  # mm, and of a step: below, MONAI leaves an image as it is (its AFFINE_TOL)
MAX_SIDE = 1024  # voxels
MAX_VOXELS = 32_000_000  # of one image, in any of its grids

Back = Callable[[Tensor, bool], Tensor]  # (values, from the nearest voxel)
Interpolation = Literal["area", "bilinear", "trilinear", "nearest", "nearest-exact"]


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
        if self.values.numel() > MAX_VOXELS:
            raise RegionTooLarge(limit_voxels=MAX_VOXELS)

    @property
    def size(self) -> tuple[int, ...]:
        """Voxels along the axes."""
        return tuple(self.values.shape[1:])

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
        mode: "bilinear" (in three axes trilinear), or "nearest".
    """

    mm: tuple[float, float, float]
    mode: Mode = "bilinear"

    def __post_init__(self) -> None:
        found = numbers(self.mm, "space.mm", 0, 100, (3,))
        word(self.mode, "space.mode", words_of(Mode))
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
        if np.prod(new, dtype=np.float64) > MAX_VOXELS:
            raise RegionTooLarge(limit_voxels=MAX_VOXELS)
        values, affine = resampled(image.values, there, new, self.mode), image.affine @ there
        again = np.asarray(np.linalg.solve(affine, image.affine), np.float64)

        def back(values: Tensor, nearest: bool) -> Tensor:
            return resampled(values, again, old, "nearest" if nearest else self.mode)

        return Placed(values, affine), back


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """So many voxels along each axis, whatever the image's scale.

    Attributes:
        size: voxels along the axes.
        mode: of torch's `interpolate`; "bilinear" and "trilinear" are the same: what fits the axes.
        align_corners: of "bilinear": the outermost voxels stay where they are.
    """

    size: tuple[int, ...]
    mode: Interpolation = "area"
    align_corners: bool | None = None

    def __post_init__(self) -> None:
        found = numbers(self.size, "resize.size", 2, MAX_SIDE, (2, 3), whole=True)
        word(self.mode, "resize.mode", words_of(Interpolation))
        if self.align_corners is not None:
            flag(self.align_corners, "resize.align_corners")
            if not self.mode.endswith("linear"):
                raise PipelineNotValid("`resize.align_corners` is of bilinear")
        object.__setattr__(self, "size", tuple(map(int, found)))

    def moved(self, image: Placed) -> tuple[Placed, Back]:
        """The image, and the way back."""
        old, spread = image.size, np.asarray(image.size) / np.asarray(self.size)
        affine = image.affine.copy()
        affine[:-1, :-1] *= spread
        moved = Placed(self._to(image.values, self.size, self.mode), affine)
        return moved, lambda back, nearest: self._to(back, old, "nearest" if nearest else self.mode)

    def _to(self, values: Tensor, size: tuple[int, ...], mode: str) -> Tensor:
        if tuple(values.shape[1:]) == size:
            return values
        linear = mode.endswith("linear")
        mode = ("trilinear" if len(size) == 3 else "bilinear") if linear else mode
        corners: dict[str, Any] = {"align_corners": self.align_corners} if linear else {}
        return functional.interpolate(values[None], size, mode=mode, **corners)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """The box of what is above 0, with a margin; what is cut away is 0 in every answer. An empty image stays whole.

    Attributes:
        margin: voxels around the box.
        divisible: the box's sides are made whole multiples of it.
        within: the box with its margin ends where the image does; else zeros are put around.
    """

    margin: int = 0
    divisible: int = 1
    within: bool = False

    def __post_init__(self) -> None:
        number(self.margin, "crop.margin", 0, MAX_SIDE, whole=True)
        number(self.divisible, "crop.divisible", 1, 256, whole=True)
        flag(self.within, "crop.within")

    def moved(self, image: Placed) -> tuple[Placed, Back]:
        """The image, and the way back, which is exact."""
        box = self._box(image)
        sides = zip(reversed(box), reversed(image.size), strict=True)  # torch pads the last axis first
        more = [end for (first, last), side in sides for end in (-first, last - side)]
        affine = image.affine.copy()
        affine[:-1, -1] += affine[:-1, :-1] @ [first for first, _ in box]
        moved = Placed(functional.pad(image.values, more), affine)
        return moved, lambda back, _: functional.pad(back, [-end for end in more])

    def _box(self, image: Placed) -> list[tuple[int, int]]:
        """First voxel and the one after the last, along each axis."""
        bright = (image.values > 0).any(dim=0)
        if not bool(bright.any()):
            return [(0, n) for n in image.size]
        found = []
        for axis, side in enumerate(image.size):
            at = bright.movedim(axis, 0).flatten(1).any(dim=1).nonzero()
            first, last = int(at[0]) - self.margin, int(at[-1]) + self.margin + 1
            if self.within:
                first, last = max(first, 0), min(last, side)
            missing = -(last - first) % self.divisible
            found.append((first - missing // 2, last - missing // 2 + missing))
        return found


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

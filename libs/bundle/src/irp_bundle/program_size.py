"""Steps that give an image another size, each with its way back: MONAI's Resize, CropForeground, SpatialPad and kin.

Source: MONAI 1.6, monai.transforms.spatial and monai.transforms.croppad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch import Tensor
from torch.nn import functional

from irp_bundle.errors import PipelineNotValid
from irp_bundle.plain import flag, number, numbers, word, words_of
from irp_bundle.program_space import Back, Placed

MAX_SIDE = 1024  # voxels
MAX_MARGIN = 64  # voxels

Interpolation = Literal["area", "bilinear", "trilinear", "nearest", "nearest-exact"]


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
        """The image, and the way back.

        Raises:
            RegionTooLarge: beyond MAX_VOXELS.
        """
        image.require_room_for(self.size)
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
        number(self.margin, "crop.margin", 0, MAX_MARGIN, whole=True)
        number(self.divisible, "crop.divisible", 1, 256, whole=True)
        flag(self.within, "crop.within")

    def moved(self, image: Placed) -> tuple[Placed, Back]:
        """The image, and the way back, which is exact.

        Raises:
            RegionTooLarge: beyond MAX_VOXELS.
        """
        return _boxed(image, self._box(image))

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """So many voxels about the image's middle: zeros are put around, or what is beyond is cut away.

    Attributes:
        size: voxels along the axes; 0 = as many as there are.
        grows: what is smaller gets zeros around.
        shrinks: what is larger is cut.
    """

    size: tuple[int, ...]
    grows: bool = True
    shrinks: bool = True

    def __post_init__(self) -> None:
        found = numbers(self.size, "fit.size", 0, MAX_SIDE, (2, 3), whole=True)
        flag(self.grows, "fit.grows")
        flag(self.shrinks, "fit.shrinks")
        object.__setattr__(self, "size", tuple(map(int, found)))

    def moved(self, image: Placed) -> tuple[Placed, Back]:
        """The image, and the way back, which is exact: what was cut away is 0 in every answer.

        Raises:
            RegionTooLarge: beyond MAX_VOXELS.
        """
        return _boxed(image, [self._side(*pair) for pair in zip(self.size, image.size, strict=True)])

    def _side(self, wanted: int, side: int) -> tuple[int, int]:
        """First voxel and the one after the last, along one axis."""
        if wanted and ((side < wanted and self.grows) or (side > wanted and self.shrinks)):
            first = side // 2 - wanted // 2 if side > wanted else -((wanted - side) // 2)
            return first, first + wanted
        return 0, side


def size_of(step: object) -> tuple[int, ...] | None:
    """The size that every image has after a step; None = it depends on the image."""
    if isinstance(step, Resize) or (isinstance(step, Fit) and step.grows and step.shrinks and all(step.size)):
        return step.size
    return None


def _boxed(image: Placed, box: Sequence[tuple[int, int]]) -> tuple[Placed, Back]:
    """What is in a box, which may be larger than the image; (first voxel, the one after the last) along each axis."""
    image.require_room_for([end - first for first, end in box])
    sides = zip(reversed(box), reversed(image.size), strict=True)  # torch pads the last axis first
    more = [end for (first, last), side in sides for end in (-first, last - side)]
    affine = image.affine.copy()
    affine[:-1, -1] += affine[:-1, :-1] @ [first for first, _ in box]
    moved = Placed(functional.pad(image.values, more), affine)
    return moved, lambda back, _: functional.pad(back, [-end for end in more])

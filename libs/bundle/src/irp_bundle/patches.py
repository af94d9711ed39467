"""A network with three axes: patches slide over the region that holds every slice's window, one frame at a time.

Weights and steps are MONAI's (`sliding_window_inference`, Gaussian importance). What is asked of some slices alone
needs only the patches that touch them, and gives the same as asking for all. Logits are brought to the image's slices
and grid slice by slice and decided there, so that no map of all channels lies on the whole fine grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from irp_bundle.boxes import Located
from irp_bundle.errors import RegionTooLarge
from irp_bundle.networks import Stage
from irp_bundle.prepare import as_images, normalise
from irp_bundle.sampling import sample
from irp_bundle.scores import ask
from irp_bundle.spec import SegmentSpec
from irp_bundle.steps import Steps

MAX_VOXELS = 16_000_000  # of a region's grid
PATCHES_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Region:
    """The grid over which patches slide.

    Attributes:
        window: (4,): row, column, height, width of the square in pixels of the slice.
        size: pixels per side.
        planes: float64 (Z,): where the grid's slices lie, in slices of the image, clipped to its first and last.
        at: float64 (slices of the image,): where those lie on the grid.
    """

    window: NDArray[np.float64]
    size: int
    planes: NDArray[np.float64]
    at: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slice, row, column)."""
        return len(self.planes), self.size, self.size


def region_of(spec: SegmentSpec, located: Located, spacing_mm: tuple[float, float, float]) -> Region:
    """A function of the image alone: the square that holds every slice's window, and all slices.

    Raises:
        RegionTooLarge: beyond MAX_VOXELS.
    """
    sides = located.windows[:, 2:]
    first, last = (located.windows[:, :2] - sides / 2).min(axis=0), (located.windows[:, :2] + sides / 2).max(axis=0)
    side_mm = max((last - first) * spacing_mm[1:])
    step_mm = spec.spacing or side_mm / spec.size
    size = max(spec.size, int(np.ceil(round(side_mm / step_mm, 6))))
    window = np.array([*(first + last) / 2, *(size * step_mm / np.asarray(spacing_mm[1:]))])
    count = len(located.windows)
    step = spec.slice_spacing / spacing_mm[0] if spec.slice_spacing else 1.0
    needed = int(np.ceil(round((count - 1) / step, 6))) + 1
    depth = max(needed, spec.depth)
    if depth * size * size > MAX_VOXELS:
        raise RegionTooLarge(limit_voxels=MAX_VOXELS)
    before = (depth - needed) // 2
    planes = np.clip((np.arange(depth) - before) * step, 0, count - 1)
    return Region(window=window, size=size, planes=planes, at=np.arange(count) / step + before)


def slide(
    array: NDArray[np.generic],
    region: Region,
    slices: Sequence[int],
    spec: SegmentSpec,
    members: Sequence[Stage],
    augment: Sequence[str],
) -> Steps[Tensor]:
    """Scores of the asked slices of one frame (slice, row, column) -> (asked, channels, size, size)."""
    from monai.data.utils import compute_importance_map, dense_patch_slices  # seconds, for 3D networks alone

    grid = normalise(planes_of(as_images(array), region, spec)[None], spec.normalise)[0]
    below, above, share = between(region.at[list(slices)], region.shape[0])
    wanted = set(below) | set(above)
    patch = (spec.depth, spec.size, spec.size)
    steps = [max(1, int(p * (1 - spec.overlap))) if p < n else p for p, n in zip(patch, region.shape, strict=True)]
    places = [p[:3] for p in dense_patch_slices(region.shape, patch, steps)]
    places = [p for p in places if wanted & set(range(p[0].start, p[0].stop))]
    weight = compute_importance_map(patch, mode="gaussian", sigma_scale=0.125)
    total: Tensor | None = None
    weights = torch.zeros(region.shape)
    for begin in range(0, len(places), PATCHES_AT_ONCE):
        some = places[begin : begin + PATCHES_AT_ONCE]
        inputs = torch.stack([grid[place] for place in some])[:, None].numpy()
        scores = torch.from_numpy((yield from ask(members, augment, inputs)))
        total = torch.zeros((scores.shape[1], *region.shape)) if total is None else total
        for place, answer in zip(some, scores, strict=True):
            total[(slice(None), *place)] += answer * weight
            weights[place] += weight
    assert total is not None  # noqa: S101 - every slice lies in a patch
    one, two = (total[:, at] / weights[at] for at in (below, above))
    return torch.lerp(one, two, torch.from_numpy(share).float()[None, :, None, None]).transpose(0, 1).contiguous()


def planes_of(
    images: Tensor, region: Region, spec: SegmentSpec, windows: Tensor | None = None, turn: Tensor | None = None
) -> Tensor:
    """One frame on the region's grid before its intensities are scaled: float32 (plane, row, column).

    Args:
        images: float32 (slice, 1, row, column).
        region: the grid.
        spec: of stage 2.
        windows: (slice, 4): what is looked at instead of the region's own square, slice by slice, for augmentation.
        turn: (slice, 2, 2) or None; see `sample`.
    """
    below, above, share = between(region.planes, len(images))
    darkest = images.amin(dim=(2, 3), keepdim=True)
    if windows is None:
        windows = torch.from_numpy(region.window).float().expand(len(images), 4)
    lit = sample(images, windows, region.size, turn) + darkest
    planes = torch.lerp(lit[below], lit[above], torch.from_numpy(share).float()[:, None, None, None])[:, 0]
    return planes if spec.normalise.absolute else planes - darkest.min()


def between(at: NDArray[np.float64], count: int) -> tuple[list[int], list[int], NDArray[np.float64]]:
    """The planes below and above each place, and how far it is from the one below."""
    below = np.clip(np.floor(at), 0, count - 1).astype(int)
    above = np.clip(below + 1, 0, count - 1)
    return below.tolist(), above.tolist(), np.where(above > below, at - below, 0.0)

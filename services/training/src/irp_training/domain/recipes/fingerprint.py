"""What the training cases are like, in numbers over series: a recipe may be configured by them.

Volumes and masks of the split `training` come in, one after the other; medians and percentiles over series come out.
Validation and test are never looked at: what is chosen by them could not be judged on them.
Source: the "dataset fingerprint" of nnU-Net, Isensee et al., Nature Methods 18:203-211, 2021.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from irp_kernel import Mask, Volume
from numpy.typing import NDArray

from irp_training.domain.samples.examples import channels, heart_boxes

Triple = tuple[float, float, float]  # (slice, row, column)

CLIPS = (99.0, 99.5, 99.9)  # percentiles of a window at which intensities might be cut
AROUND = 2.4  # box sizes: the window in which these percentiles are taken
LOOKED_AT = 12  # slices of a series whose intensities are looked at, spread evenly
COARSE_PERCENTILE, WIDE_PERCENTILE = 10.0, 95.0
DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """Of one series.

    Attributes:
        spacing_mm: (slice, row, column).
        shape: (slices, rows, columns).
        judged_slices: (frame, slice) pairs on which a structure was judged.
        ventricle_mm: side of the left ventricle's box; see `heart_boxes`.
        drift_mm: how far the middles of the slices' boxes lie apart within the plane, the longer way.
        reach: side of the smallest window about these middles that holds all that was drawn, in box sizes.
        heart_mm: extent of all that was drawn, (slice, row, column).
        voxels: drawn, by structure.
        judged_voxels: of the slices on which it was judged, by structure.
        intensity: 0.5th percentile, mean, standard deviation and 99.5th percentile of what was drawn.
        clipped: share of what was drawn that lies above each percentile of CLIPS of its window.
    """

    spacing_mm: Triple
    shape: tuple[int, int, int]
    judged_slices: int
    ventricle_mm: float
    drift_mm: float
    reach: float
    heart_mm: Triple
    voxels: Mapping[str, int]
    judged_voxels: Mapping[str, int]
    intensity: tuple[float, float, float, float]
    clipped: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Of all series together: medians over series where nothing else is said.

    Attributes:
        series: that were looked at: those in which a part of the left ventricle was drawn.
        judged_slices: of all series together.
        spacing_mm: (slice, row, column).
        fine_spacing_mm: the same, 10th percentile.
        shape: (slices, rows, columns).
        stack_mm: from the first slice's middle to the last's.
        ventricle_mm: side of the left ventricle's box.
        drift_mm: how far its middles lie apart within the plane.
        reach: side of the window that holds all that was drawn, in box sizes; 95th percentile.
        heart_mm: extent of all that was drawn, (slice, row, column).
        shares: of the judged voxels, by structure, over all series.
        intensity: of what was drawn: 0.5th percentile, mean, standard deviation, 99.5th percentile.
        clipped: share of what was drawn above a percentile of its window, by percentile.
    """

    series: int
    judged_slices: int
    spacing_mm: Triple
    fine_spacing_mm: Triple
    shape: Triple
    stack_mm: float
    ventricle_mm: float
    drift_mm: float
    reach: float
    heart_mm: Triple
    shares: Mapping[str, float]
    intensity: tuple[float, float, float, float]
    clipped: Mapping[str, float]

    @property
    def pixel_mm(self) -> float:
        """Median spacing within the plane: rows and columns alike, for windows are squares in millimetres."""
        return (self.spacing_mm[1] + self.spacing_mm[2]) / 2

    def to_json(self) -> dict[str, Any]:
        """As it is kept and shown."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def fingerprint_of(found: Sequence[Traits]) -> Fingerprint | None:
    """Summed up over series; None where there is none. The order of the series plays no part."""
    if not found:
        return None
    structures = sorted({name for one in found for name in one.judged_voxels})
    judged = {name: sum(one.judged_voxels.get(name, 0) for one in found) for name in structures}
    drawn = {name: sum(one.voxels.get(name, 0) for one in found) for name in structures}
    spacing = [one.spacing_mm for one in found]
    low, mean, spread, high = _over([one.intensity for one in found])
    return Fingerprint(
        series=len(found),
        judged_slices=sum(one.judged_slices for one in found),
        spacing_mm=_triple(_over(spacing)),
        fine_spacing_mm=_triple(_over(spacing, COARSE_PERCENTILE)),
        shape=_triple(_over([one.shape for one in found])),
        stack_mm=_over([((one.shape[0] - 1) * one.spacing_mm[0],) for one in found])[0],
        ventricle_mm=_over([(one.ventricle_mm,) for one in found])[0],
        drift_mm=_over([(one.drift_mm,) for one in found])[0],
        reach=_over([(one.reach,) for one in found], WIDE_PERCENTILE)[0],
        heart_mm=_triple(_over([one.heart_mm for one in found])),
        shares={name: round(drawn[name] / judged[name], DIGITS) for name in structures if judged[name]},
        intensity=(low, mean, spread, high),
        clipped=dict(zip(map(str, CLIPS), _over([one.clipped for one in found]), strict=True)),
    )


def traits_of(volume: Volume, mask: Mask, structures: Sequence[str]) -> Traits | None:
    """One series; None if no part of the left ventricle was drawn in it.

    Args:
        volume: (time, slice, row, column).
        mask: on its grid.
        structures: canonical names that the model is to know.
    """
    labels, judged = channels(mask, structures)
    labels, boxes = _known(labels, judged), heart_boxes(mask)
    some = np.argwhere(judged.any(axis=2) & (labels > 0).any(axis=(2, 3)))
    if boxes[0, 2] <= 0 or not len(some):
        return None
    spacing = volume.geometry.spacing_mm
    pixel_mm = (spacing[1] + spacing[2]) / 2
    drawn_slices = boxes[sorted({int(place) for _, place in some}), :2]
    counts = np.bincount(labels.ravel(), minlength=len(structures) + 1)
    pixels = labels.shape[2] * labels.shape[3]
    seen = judged.sum(axis=(0, 1))
    intensity, clipped = _light(volume, labels, boxes, some)
    return Traits(
        spacing_mm=spacing,
        shape=volume.geometry.shape,
        judged_slices=int(judged.any(axis=2).sum()),
        ventricle_mm=float(boxes[0, 2]) * pixel_mm,
        drift_mm=float(np.ptp(drawn_slices, axis=0).max()) * pixel_mm,
        reach=max(_reach(labels[frame, place] > 0, boxes[place]) for frame, place in some),
        heart_mm=_extent(labels > 0, spacing),
        voxels={name: int(counts[n]) for n, name in enumerate(structures, start=1) if seen[n - 1]},
        judged_voxels={name: int(seen[n]) * pixels for n, name in enumerate(structures) if seen[n]},
        intensity=intensity,
        clipped=clipped,
    )


def _known(labels: NDArray[np.uint8], judged: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Labels (time, slice, row, column) where somebody judged their structure; 0 elsewhere: nobody knows."""
    allowed = np.concatenate([np.zeros_like(judged[..., :1]), judged], axis=-1)
    known = np.zeros_like(labels)
    for frame, place in np.argwhere(judged.any(axis=2)):
        known[frame, place] = labels[frame, place] * allowed[frame, place][labels[frame, place]]
    return known


def _reach(drawn: NDArray[np.bool_], box: NDArray[np.float64]) -> float:
    """Twice the way from the box's middle to the farthest border of what was drawn (row, column), in box sizes."""
    places = np.argwhere(drawn)
    farthest = np.abs(np.stack([places.min(axis=0), places.max(axis=0)]) - box[:2]).max() + 0.5
    return float(2 * farthest / box[2])


def _extent(drawn: NDArray[np.bool_], spacing_mm: Triple) -> Triple:
    """Of what was drawn at any time (time, slice, row, column), in mm."""
    sides = np.ptp(np.argwhere(drawn.any(axis=0)), axis=0) + 1
    return _triple([float(side * step) for side, step in zip(sides, spacing_mm, strict=True)])


def _light(
    volume: Volume, labels: NDArray[np.uint8], boxes: NDArray[np.float64], some: NDArray[np.int64]
) -> tuple[tuple[float, float, float, float], tuple[float, ...]]:
    """Intensities of what was drawn, and how much of it a cut at each of CLIPS would take."""
    inside, above = [], []
    for frame, place in some[:: -(-len(some) // LOOKED_AT)]:
        drawn, image = labels[frame, place] > 0, volume.array[frame, place].astype(np.float64)
        window = _around(image, boxes[place])
        lit = window[window > window.min()]
        values = image[drawn]
        cuts = np.percentile(lit, CLIPS) if lit.size else np.full(len(CLIPS), np.inf)
        inside.append(values)
        above.append((values[:, None] > cuts).mean(axis=0))
    every = np.concatenate(inside)
    low, high = np.percentile(every, (0.5, 99.5))
    return (float(low), float(every.mean()), float(every.std()), float(high)), tuple(np.mean(above, axis=0).tolist())


def _around(image: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of a slice within AROUND box sizes."""
    half = AROUND * box[2] / 2
    rows, columns = (
        slice(max(0, int(middle - half)), max(1, int(np.ceil(middle + half)) + 1)) for middle in box[:2].tolist()
    )
    return image[rows, columns]


def _over(values: Sequence[Sequence[float]], percentile: float = 50.0) -> list[float]:
    """A percentile of each column."""
    found = np.percentile(np.asarray(values, dtype=np.float64), percentile, axis=0)
    return [round(float(value), DIGITS) for value in found]


def _triple(values: Sequence[float]) -> Triple:
    first, second, third = values
    return first, second, third

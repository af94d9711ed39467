"""The left ventricle's wall on one frame: what was judged, in which order the slices lie, where the septum is.

Nothing here trusts the order of slices or the display: base, apex and the right ventricle are found from the labels,
anterior from them by the heart's handedness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from irp_kernel import Geometry, Mask
from numpy.typing import NDArray
from scipy import ndimage

WALL = ("lv_myocardium", "scar", "no_reflow")
APEXWARD = np.array([1.0, -1.0, -1.0]) / np.sqrt(3.0)  # LPS: from the base the apex lies left, anterior, inferior
CLEAR_TAPER = 0.25  # (area of the larger third - smaller third) / largest: below, the areas do not tell base from apex
CLEAR_DIRECTION = 0.3  # cosine between slice normal and APEXWARD: below, the patient axes do not tell either
CONTACT_MM = 5.0  # the right ventricle's blood lies this close to the septum's far side
ARC_DEG = (35.0, 200.0)  # plausible width of the contact seen from the cavity's centre

Voxels = NDArray[np.bool_]  # (slice, row, column)
Vector = NDArray[np.float64]  # LPS mm


@dataclass(frozen=True, slots=True, eq=False)
class Wall:
    """The wall of one frame.

    Attributes:
        geometry: the grid.
        wall: myocardium with scar, only on slices where it was judged.
        cavity: blood pool, only where it was judged.
        closed: per slice: the cavity was judged and there is none.
    """

    geometry: Geometry
    wall: Voxels
    cavity: Voxels
    closed: NDArray[np.bool_]

    @property
    def slices(self) -> list[int]:
        """Slices that show the wall, in order of their index."""
        return [int(s) for s in np.flatnonzero(self.wall.any(axis=(1, 2)))]


def wall_of(mask: Mask, frame: int) -> Wall:
    """What the mask says of the left ventricle on a frame; not judged is left out."""
    cavity = structure(mask, "lv_blood_pool", frame)
    judged = mask.judged("lv_myocardium")[frame]
    wall = np.zeros(mask.geometry.shape, dtype=np.bool_)
    for name in WALL:
        if name in mask.table.names:
            wall |= mask.of(name)[frame]
    wall &= judged[:, None, None]
    closed = mask.judged("lv_blood_pool")[frame] & ~cavity.any(axis=(1, 2))
    return Wall(mask.geometry, wall, cavity, closed)


def structure(mask: Mask, name: str, frame: int) -> Voxels:
    """A structure of a frame where it was judged; nothing if the mask does not hold it."""
    if name not in mask.table.names:
        return np.zeros(mask.geometry.shape, dtype=np.bool_)
    return np.asarray(mask.of(name)[frame] & mask.judged(name)[frame][:, None, None])


def apexward(heart: Wall, right: Voxels) -> tuple[Vector, str] | None:
    """Unit vector along the slices from base to apex, and what told it; None if nothing does.

    First the labels: the right ventricle ends before the apex, and the left one tapers. Then the patient axes.
    """
    normal = heart.geometry.matrix[:3, 0]
    normal = normal / np.linalg.norm(normal)
    outline = (heart.wall | heart.cavity).sum(axis=(1, 2)).astype(np.float64)
    taper = _taper(outline, heart.slices)
    if right.any():
        weights = right.sum(axis=(1, 2)).astype(np.float64)
        taper = (taper + 2 * _taper(weights, heart.slices)) / 3
    if abs(taper) > CLEAR_TAPER:
        return normal * np.sign(taper), "areas"
    along = float(normal @ APEXWARD)
    if abs(along) > CLEAR_DIRECTION:
        return normal * np.sign(along), "patient axes"
    return None


def _taper(areas: NDArray[np.float64], slices: list[int]) -> float:
    """Positive if areas fall with the slice index: difference of the outer thirds over the largest."""
    shown = areas[slices]
    if len(shown) < 3 or not shown.any():
        return 0.0
    third = max(1, len(shown) // 3)
    return float((shown[:third].mean() - shown[-third:].mean()) / shown.max())


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """Angles in the short axis: radians, rising from the septum over anterior.

    Seen along the base-to-apex axis d with the right ventricle at r, anterior is r x d: a heart's handedness, whatever
    the image's orientation. Holds for every heart that is not mirrored.
    """

    geometry: Geometry
    axis: Vector

    def angles(self, voxels: Voxels, centre: Vector) -> NDArray[np.float64]:
        """Direction of each true voxel from a centre in mm."""
        return self.direction(self.geometry.to_patient(np.argwhere(voxels).astype(np.float64)) - centre)

    def direction(self, offsets: Vector) -> NDArray[np.float64]:
        """Angle of offsets in mm (..., 3)."""
        first = self.geometry.matrix[:3, 2] / np.linalg.norm(self.geometry.matrix[:3, 2])
        second = np.cross(first, self.axis)
        return np.asarray(np.arctan2(offsets @ second, offsets @ first))


def centre_of(heart: Wall, s: int) -> Vector:
    """Centre of the left ventricle on a slice, LPS mm."""
    rows, columns = np.nonzero(heart.wall[s] | heart.cavity[s])
    return heart.geometry.to_patient(np.array([s, rows.mean(), columns.mean()]))


def insertions(heart: Wall, right: Voxels, plane: Plane) -> dict[int, float]:
    """Slice -> angle of the anterior insertion of the right ventricle, where a slice shows it.

    The insertions are the ends of the arc along which the right ventricle's blood lies against the left ventricle.
    """
    _, row_mm, column_mm = heart.geometry.spacing_mm
    near_mm = max(CONTACT_MM, 2.5 * max(row_mm, column_mm))
    found = {}
    for s in heart.slices:
        if not right[s].any():
            continue
        distance_mm = ndimage.distance_transform_edt(~(heart.wall[s] | heart.cavity[s]), sampling=(row_mm, column_mm))
        contact = np.zeros(heart.wall.shape, dtype=np.bool_)
        contact[s] = right[s] & (distance_mm <= near_mm)
        if not contact.any():
            continue
        angles = plane.angles(contact, centre_of(heart, s))
        middle = circular_mean(angles)
        low, high = np.percentile(_wrapped(angles - middle), (1, 99))
        if ARC_DEG[0] <= np.degrees(high - low) <= ARC_DEG[1]:
            found[s] = float(middle + high)
    return found


def circular_mean(angles: NDArray[np.float64]) -> float:
    """Mean direction, radians."""
    return float(np.arctan2(np.sin(angles).mean(), np.cos(angles).mean()))


def _wrapped(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((angles + np.pi) % (2 * np.pi) - np.pi)

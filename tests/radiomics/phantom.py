"""A heart laid out in the patient's own axes, seen on any grid: so the true AHA segment of every voxel is known.

Axes of the model: `apexward` from base to apex; `septal` towards the right ventricle; `anterior` = septal x apexward,
which for a real heart points up, left and forward.
"""

from __future__ import annotations

import numpy as np
from irp_kernel import Geometry, LabelTable, Mask, Volume
from irp_kernel.geometry import to_matrix
from numpy.typing import NDArray

APEXWARD = np.array([1.0, -1.0, -1.0]) / np.sqrt(3)
SEPTAL = np.array([-1.0, -1.0, 0.0]) / np.sqrt(2)
ANTERIOR = np.cross(SEPTAL, APEXWARD)
LENGTH_MM, POOL_MM, WALL_MM = 72.0, 24.0, 34.0
# Six walls of 60 degrees, counted from the anterior insertion over the septum (Cerqueira 2002, figure 3).
SIX = ("anteroseptal", "inferoseptal", "inferior", "inferolateral", "anterolateral", "anterior")
FOUR = ("septal", "inferior", "lateral", "anterior")


def a_grid(*, turn_deg: float = 0.0, flip: bool = False, reverse: bool = False, transpose: bool = False) -> Geometry:
    """A short-axis stack of nine 8 mm slices of 100 x 100 pixels of 1.5 mm: as one of many scanners would store it."""
    turn = np.radians(turn_deg)
    right = np.cos(turn) * -SEPTAL + np.sin(turn) * ANTERIOR
    down = np.sin(turn) * -SEPTAL - np.cos(turn) * ANTERIOR
    if flip:
        right = -right
    if transpose:
        right, down = down, right
    along = -APEXWARD if reverse else APEXWARD
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = along * 8, down * 1.5, right * 1.5
    matrix[:3, 3] = -(along * 8 * 4 + down * 1.5 * 49.5 + right * 1.5 * 49.5)
    return Geometry(shape=(9, 100, 100), affine=to_matrix(matrix))


def _polar(
    geometry: Geometry,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    indices = np.moveaxis(np.indices(geometry.shape), 0, -1).astype(np.float64)
    points = geometry.to_patient(indices)
    along, septal, anterior = points @ APEXWARD, points @ SEPTAL, points @ ANTERIOR
    return along, septal, anterior, np.hypot(septal, anterior)


def a_heart(geometry: Geometry, *, right_ventricle: bool = True, seed: int = 0) -> tuple[Volume, Mask]:
    """Cavity that tapers to a closed apex, wall around it, right ventricle along the septal 120 degrees."""
    along, septal, anterior, distance = _polar(geometry)
    height = np.clip((LENGTH_MM / 2 - along) / LENGTH_MM, 0, 1)  # 1 at the base, 0 at the apex
    outer, inner = WALL_MM * np.sqrt(np.clip(height * 1.3, 0, 1)), POOL_MM * np.sqrt(np.clip(height * 1.3 - 0.12, 0, 1))
    labels = np.zeros(geometry.shape, dtype=np.uint8)
    labels[distance < outer] = 2
    labels[distance < inner] = 1
    seen_from_centre = np.abs(np.arctan2(anterior, septal)) < np.radians(60)
    right = (distance >= outer) & (distance < outer + 22) & seen_from_centre & (height > 0.3)
    names = ["lv_blood_pool", "lv_myocardium"]
    if right_ventricle:
        labels[right] = 3
        names.append("rv_blood_pool")
    array = np.random.default_rng(seed).normal(200, 25, (1, *geometry.shape)) + 150 * (labels == 1)
    annotated = np.ones((1, geometry.shape[0], len(names)), dtype=np.bool_)
    mask = Mask(geometry=geometry, labels=labels[None], table=LabelTable.canonical(names), annotated=annotated)
    return Volume(geometry=geometry, array=array.astype(np.float32)), mask


def true_wall(geometry: Geometry, number: int) -> NDArray[np.object_]:
    """Name of the wall that each voxel belongs to, in a ring of six or four: from the angle in the patient alone."""
    _, septal, anterior, _ = _polar(geometry)
    degrees = np.degrees(np.arctan2(anterior, septal))  # 0 = middle of the septum, 90 = anterior
    if number == 6:
        return np.array(SIX, dtype=object)[np.floor((60 - degrees) % 360 / 60).astype(int) % 6]
    return np.array(FOUR, dtype=object)[np.floor((45 - degrees) % 360 / 90).astype(int) % 4]

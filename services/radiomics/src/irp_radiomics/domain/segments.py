"""The left ventricle's wall in pieces: AHA segments where the right ventricle says where the septum is, else sectors.

Angles run from the anterior insertion of the right ventricle. Rings: slices with a wall, in thirds from base to apex
(basal 6, mid 6, apical 4 pieces). Which end is the base is told by the right ventricle, which ends before the apex;
without it the larger cavity is taken for the base and the pieces are sectors, never AHA.
Source: Cerqueira et al., Circulation 105:539-542, 2002.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from irp_kernel import Mask
from irp_kernel.heart import AHA_SEGMENTS
from numpy.typing import NDArray

MIN_VOXELS = 8  # a smaller piece has no texture
RINGS = (("basal", 6, 1), ("mid", 6, 7), ("apical", 4, 13))


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of the wall: kind "aha" or "sector", its name, and bool (slice, row, column)."""

    kind: str
    name: str
    voxels: NDArray[np.bool_]


def pieces(mask: Mask, frame: int) -> list[Piece]:
    """Pieces of the myocardium of one frame, on slices where it was judged."""
    wall, pool, right = (_of(mask, name, frame) for name in ("lv_myocardium", "lv_blood_pool", "rv_blood_pool"))
    judged = mask.judged("lv_myocardium")[frame]
    slices = [s for s in range(wall.shape[0]) if judged[s] and wall[s].any() and pool[s].any()]
    if not slices:
        return []
    septum = _septum(pool, right, slices)
    ordered = _from_base(right, pool, slices)
    kind = "aha" if septum is not None else "sector"
    found: dict[int, NDArray[np.bool_]] = {}
    for place, s in enumerate(ordered):
        _, parts, first = RINGS[min(2, place * 3 // len(ordered))]
        index = _part(mask, wall[s], pool[s], septum, parts)
        for part in range(parts):
            piece = found.setdefault(first + part, np.zeros(wall.shape, dtype=np.bool_))
            piece[s] |= wall[s] & (index == part)
    named = [(AHA_SEGMENTS[n - 1].name if kind == "aha" else f"sector-{n}", v) for n, v in sorted(found.items())]
    return [Piece(kind, name, voxels) for name, voxels in named if voxels.sum() >= MIN_VOXELS]


def _of(mask: Mask, name: str, frame: int) -> NDArray[np.bool_]:
    if name not in mask.table.names:
        return np.zeros(mask.labels.shape[1:], dtype=np.bool_)
    return np.asarray(mask.of(name)[frame])


def _from_base(right: NDArray[np.bool_], pool: NDArray[np.bool_], slices: list[int]) -> list[int]:
    weight = right if right[slices].any() else pool
    middle = len(slices) / 2
    first = sum(weight[s].sum() for place, s in enumerate(slices) if place < middle)
    last = sum(weight[s].sum() for place, s in enumerate(slices) if place >= middle)
    return slices if first >= last else slices[::-1]


def _septum(pool: NDArray[np.bool_], right: NDArray[np.bool_], slices: list[int]) -> float | None:
    """Angle of the middle of the septum in the image plane, radians; None without a right ventricle."""
    vectors = [np.argwhere(right[s]).mean(0) - np.argwhere(pool[s]).mean(0) for s in slices if right[s].any()]
    if not vectors:
        return None
    row, column = np.mean(vectors, axis=0)
    return float(np.arctan2(row, column))


def _part(
    mask: Mask, wall: NDArray[np.bool_], pool: NDArray[np.bool_], septum: float | None, parts: int
) -> NDArray[np.int_]:
    """Number of the part that each pixel's direction from the cavity's centre lies in."""
    centre = np.argwhere(pool).mean(0)
    rows, columns = np.indices(wall.shape)
    angle = np.arctan2(rows - centre[0], columns - centre[1])
    turn = _towards_anterior(mask)
    # AHA parts count from anterior over the septum: of six, 1 and 2 are septal; of four, 1 is.
    septal_middle = (2.0 if parts == 6 else 1.5) / parts * 2 * np.pi
    relative = (turn * (angle - (septum if septum is not None else 0.0)) + septal_middle) % (2 * np.pi)
    return np.asarray((relative / (2 * np.pi) * parts).astype(int) % parts)


def _towards_anterior(mask: Mask) -> float:
    """-1 or 1: the sense in which image angles run from anterior over septal to inferior walls.

    Seen from the apex, as in every short-axis display, that sense is counter-clockwise (row axis down). An image whose
    normal points the other way (slice 0 at the apex or not plays no part) is mirrored.
    """
    matrix = mask.geometry.matrix[:3, :3]
    normal = np.cross(matrix[:, 2], matrix[:, 1])
    # LPS: the apex lies to the left and to the feet of the base
    to_apex = np.array([0.75, -0.35, -0.55])
    return -1.0 if float(normal @ to_apex) > 0 else 1.0

"""The wall in pieces: AHA segments where the right ventricle shows the septum, else sectors; never one as the other.

Basal, mid and apical rings are thirds of the judged wall from base to apex; a closed cavity below it is the apex (17).
Six (apical: four) parts of equal angle count from the anterior insertion of the right ventricle over the septum.
Source: Cerqueira et al., Circulation 105:539-542, 2002.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from irp_kernel import Mask
from irp_kernel.heart import AHA_SEGMENTS

from irp_radiomics.domain.wall import (
    Plane,
    Voxels,
    Wall,
    apexward,
    centre_of,
    circular_mean,
    insertions,
    structure,
    wall_of,
)

MIN_VOXELS = 8  # a smaller piece has no texture
MIN_SLICES = 3  # fewer do not show three rings
# Segments met when turning from the anterior insertion over the septum, per ring.
TURN = {"basal": (2, 3, 4, 5, 6, 1), "mid": (8, 9, 10, 11, 12, 7), "apical": (14, 15, 16, 13)}
RINGS = ("basal", "mid", "apical")
# The apical septum is one segment of 90 degrees about the middle of the septum, 60 degrees past the insertion.
APICAL_START = np.radians(60.0 - 45.0)
APEX = 17


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A region of interest.

    Attributes:
        kind: "aha", "sector" or "structure".
        name: segment, sector or structure.
        voxels: bool (slice, row, column).
    """

    kind: str
    name: str
    voxels: Voxels


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """The pieces of a frame.

    Attributes:
        pieces: pieces of the wall, and whole structures.
        septum: what told the septum: "accepted mask", "proposed mask" or "".
        note: why the pieces are not AHA segments, or what else a reader must know.
    """

    pieces: tuple[Piece, ...]
    septum: str = ""
    note: str = ""


def divide(mask: Mask, frame: int, guide: Mask | None = None) -> Division:
    """Cut a frame.

    Args:
        mask: the accepted mask.
        frame: which frame.
        guide: a proposed mask on the same grid that may show the right ventricle where the accepted one does not judge
            it; nothing else is taken from it.
    """
    heart = wall_of(mask, frame)
    whole = [("lv_blood_pool", heart.cavity), ("lv_myocardium", heart.wall)]
    whole += [(name, structure(mask, name, frame)) for name in ("scar", "rv_blood_pool")]
    structures = [Piece("structure", name, voxels) for name, voxels in whole if voxels.sum() >= MIN_VOXELS]
    if not heart.slices:
        return Division(tuple(structures), note="the myocardium was not judged")
    right, septum = structure(mask, "rv_blood_pool", frame), "accepted mask"
    if not right.any() and guide is not None:
        right, septum = structure(guide, "rv_blood_pool", frame), "proposed mask"
    found = _segments(heart, right)
    if isinstance(found, str):
        return Division((*_sectors(heart, right), *structures), note=f"sectors, not AHA: {found}")
    pieces = [
        Piece("aha", AHA_SEGMENTS[number - 1].name, voxels)
        for number, voxels in sorted(found.items())
        if voxels.sum() >= MIN_VOXELS
    ]
    return Division((*pieces, *structures), septum=septum)


def _segments(heart: Wall, right: Voxels) -> dict[int, Voxels] | str:
    """AHA number -> voxels, or why there are none."""
    if not right.any():
        return "no right ventricle shows the septum"
    if len(heart.slices) < MIN_SLICES:
        return f"{len(heart.slices)} slices do not show three rings"
    told = apexward(heart, right)
    if told is None:
        return "neither areas nor patient axes tell base from apex"
    plane = Plane(heart.geometry, told[0])
    starts = insertions(heart, right, plane)
    if not starts:
        return "the right ventricle does not touch the septum"
    elsewhere = circular_mean(np.array(list(starts.values())))
    rings = _rings(heart, plane)
    found: dict[int, Voxels] = {}
    for s, ring in rings.items():
        start = starts.get(s, elsewhere)
        _cut(heart, s, plane, start, TURN.get(ring, (APEX,)), found)
    return found


def _sectors(heart: Wall, right: Voxels) -> list[Piece]:
    """Pieces that claim no anatomy: like the rings where these are known, else six; the first begins at anterior."""
    told = apexward(heart, right)
    if told is None or len(heart.slices) < MIN_SLICES:
        normal = heart.geometry.matrix[:3, 0]
        plane = Plane(heart.geometry, normal / np.linalg.norm(normal))
        numbers = dict.fromkeys(heart.slices, tuple(range(1, 7)))
    else:
        plane = Plane(heart.geometry, told[0])
        counts = {"basal": tuple(range(1, 7)), "mid": tuple(range(7, 13)), "apical": (13, 14, 15, 16), "apex": (17,)}
        numbers = {s: counts[ring] for s, ring in _rings(heart, plane).items()}
    start = float(plane.direction(np.array([0.0, -1.0, 0.0])))
    found: dict[int, Voxels] = {}
    for s, turn in numbers.items():
        _cut(heart, s, plane, start, turn, found)
    ordered = sorted(found.items())
    return [Piece("sector", f"sector-{number}", voxels) for number, voxels in ordered if voxels.sum() >= MIN_VOXELS]


def _rings(heart: Wall, plane: Plane) -> dict[int, str]:
    """Slice -> ring: thirds of the span with an open cavity, from base to apex; closed slices beyond are the apex."""
    falling = float(plane.axis @ heart.geometry.matrix[:3, 0]) < 0
    ordered = heart.slices[::-1] if falling else heart.slices
    open_ = [s for s in ordered if not heart.closed[s]] or ordered
    span = abs(open_[-1] - open_[0]) + 1
    rings = {s: RINGS[min(2, int(3 * (abs(s - open_[0]) + 0.5) / span))] for s in open_}
    return rings | {s: "apex" for s in ordered if s not in rings and abs(s - open_[0]) >= span}


def _cut(heart: Wall, s: int, plane: Plane, start: float, turn: tuple[int, ...], found: dict[int, Voxels]) -> None:
    """Add a slice's wall to the parts met when turning from `start` against rising angles."""
    here = np.zeros(heart.wall.shape, dtype=np.bool_)
    here[s] = heart.wall[s]
    turned = start - plane.angles(here, centre_of(heart, s)) - (APICAL_START if len(turn) == 4 else 0.0)
    part = np.floor(turned % (2 * np.pi) / (2 * np.pi) * len(turn)).astype(int) % len(turn)
    for index, (row, column) in zip(part, np.argwhere(heart.wall[s]), strict=True):
        voxels = found.setdefault(turn[index], np.zeros(heart.wall.shape, dtype=np.bool_))
        voxels[s, row, column] = True

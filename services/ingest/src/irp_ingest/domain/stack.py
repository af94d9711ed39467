"""Images -> one regular grid of slices and phases, or the reason why not.

Slice 0 is the lowest along row x column direction; the pitch is measured along that normal, never read from
SliceLocation. A phase is the rank of an image's time at its own slice position, so that equal counts suffice. Positions
whose count of phases differs from the most common one are left out, if the others still make a regular grid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from irp_kernel import Geometry
from irp_kernel.geometry import ORIENTATION_TOLERANCE_DEG
from numpy.typing import NDArray

from irp_ingest.domain.component import MAGNITUDE_FIRST
from irp_ingest.domain.errors import (
    SeriesHasNoPlane,
    SeriesMatrixMixed,
    SeriesOrientationMixed,
    SeriesPhasesUneven,
    SeriesPitchUneven,
    SeriesPositionRepeated,
    SeriesTilted,
    SeriesTooLarge,
)
from irp_ingest.domain.plane import Frame, Plane
from irp_ingest.domain.select_images import select

SAME_POSITION_MM = 0.05  # images closer than this along the normal lie in one slice
PITCH_TOLERANCE = 0.02  # share of the pitch by which one gap may differ
UNIT_TOLERANCE = 1e-3  # of the direction cosines, which headers round
MAX_VOXELS = 256 << 20  # of one volume: 512 MiB as int16
IN_PLANE_TOLERANCE_MM = 0.5  # shift of a slice's corner off the straight line through the stack


@dataclass(frozen=True, slots=True)
class Stack:
    """A regular grid.

    Attributes:
        geometry: the volume's grid, with frame times.
        order: images by [time][slice].
        left_out: in plain words, what of the series is not in the volume; empty if nothing.
    """

    geometry: Geometry
    order: tuple[tuple[Frame, ...], ...]
    left_out: str = ""


def arrange(planes: Mapping[Frame, Plane | None], preference: Sequence[str] = MAGNITUDE_FIRST) -> Stack:
    """Arrange images into a stack.

    Args:
        planes: of every image of the series; None if it does not say where it lies.
        preference: components of complex images, the one wanted most first.

    Raises:
        NotAssembled: its subclass says what does not fit.
    """
    placed = {frame: plane for frame, plane in planes.items() if plane is not None}
    if not placed or len(placed) != len(planes):
        raise SeriesHasNoPlane(f"{len(planes) - len(placed)} of {len(planes)} images do not say where they lie")
    known, told = select(placed, preference)
    first = next(iter(known.values()))
    _require_alike(list(known.values()), first)
    normal = np.cross(first.orientation[:3], first.orientation[3:])
    every = [sorted(members, key=lambda frame: _when(known[frame])) for members in _slices(known, normal)]
    _require_times(every, known)
    frames, ordered = _even(every)
    counts = [len(members) for members in every]
    uneven = SeriesPhasesUneven(f"slice positions have {min(counts)} to {max(counts)} images")
    if 2 * len(ordered) <= len(every):
        raise uneven
    if first.matrix[0] * first.matrix[1] * frames * len(ordered) > MAX_VOXELS:
        raise SeriesTooLarge(f"a volume has at most {MAX_VOXELS} voxels")
    positions = np.array([known[members[0]].position_mm for members in ordered])
    try:
        pitch_mm = _pitch(positions, normal, first)
    except SeriesPitchUneven:
        if len(ordered) < len(every):
            raise uneven from None
        raise
    geometry = Geometry.from_dicom(
        position_mm=known[ordered[0][0]].position_mm,
        row_direction=(first.orientation[0], first.orientation[1], first.orientation[2]),
        column_direction=(first.orientation[3], first.orientation[4], first.orientation[5]),
        spacing_mm=(pitch_mm, *first.spacing_mm),
        shape=(len(ordered), *first.matrix),
        frames=frames,
        frame_times_ms=_times(ordered, known),
    )
    order = tuple(tuple(members[t] for members in ordered) for t in range(geometry.frames))
    if len(ordered) < len(every):
        told.append(_left_out(len(every) - len(ordered), len(every), frames))
    return Stack(geometry, order, "; ".join(told))


def _require_alike(planes: list[Plane], first: Plane) -> None:
    if any(p.matrix != first.matrix or not np.allclose(p.spacing_mm, first.spacing_mm, rtol=1e-4) for p in planes):
        raise SeriesMatrixMixed
    directions = np.array([p.orientation for p in planes]).reshape(-1, 2, 3)
    lengths = np.linalg.norm(directions, axis=2)
    perpendicular = np.abs(np.einsum("pi,pi->p", directions[:, 0], directions[:, 1])) < UNIT_TOLERANCE
    if not np.allclose(lengths, 1, atol=UNIT_TOLERANCE) or not perpendicular.all():
        raise SeriesHasNoPlane("ImageOrientationPatient is no pair of perpendicular unit vectors")
    unit = directions / lengths[..., None]
    # the arcus tangens keeps its precision near zero, the arcus cosinus does not
    sine = np.linalg.norm(np.cross(unit, unit[0]), axis=2)
    angle = float(np.degrees(np.arctan2(sine, (unit * unit[0]).sum(axis=2))).max())
    if angle > ORIENTATION_TOLERANCE_DEG:
        raise SeriesOrientationMixed(
            f"orientations differ by {angle:.3f} degree, allowed are {ORIENTATION_TOLERANCE_DEG}"
        )


def _slices(known: Mapping[Frame, Plane], normal: NDArray[np.float64]) -> list[list[Frame]]:
    """Images by slice position, lowest along the normal first."""
    height = {frame: float(np.dot(plane.position_mm, normal)) for frame, plane in known.items()}
    slices: list[list[Frame]] = []
    last = -np.inf
    for frame in sorted(known, key=lambda frame: (height[frame], frame)):
        if height[frame] - last > SAME_POSITION_MM:
            slices.append([])
            last = height[frame]
        slices[-1].append(frame)
    return slices


def _require_times(ordered: list[list[Frame]], known: Mapping[Frame, Plane]) -> None:
    """Images in one place must differ in time, or their header must say that they are phases.

    Without that, echoes or diffusion weights would pass as a beating heart.
    """
    for members in ordered:
        planes = [known[frame] for frame in members]
        if len({plane.time for plane in planes}) < len(planes) > max(plane.phases_said for plane in planes):
            raise SeriesPositionRepeated(f"{len(planes)} images lie in one place at the same time")


def _even(ordered: list[list[Frame]]) -> tuple[int, list[list[Frame]]]:
    """The most common count of phases (of equals, the larger), and the positions that have it."""
    counts = Counter(len(members) for members in ordered)
    frames = max(counts, key=lambda count: (counts[count], count))
    return frames, [members for members in ordered if len(members) == frames]


def _left_out(positions: int, of: int, frames: int) -> str:
    return f"{positions} of {of} slice positions are left out: they do not have {frames} phases"


def _pitch(positions_mm: NDArray[np.float64], normal: NDArray[np.float64], first: Plane) -> float:
    """Distance of neighbouring slices along the normal; a single slice has none and gets its thickness, or 1 mm."""
    if len(positions_mm) == 1:
        return first.thickness_mm or 1.0
    gaps = np.diff(positions_mm @ normal)
    pitch = float(gaps.mean())
    if np.abs(gaps - pitch).max() > PITCH_TOLERANCE * pitch:
        raise SeriesPitchUneven(f"slices lie {gaps.min():.3f} to {gaps.max():.3f} mm apart")
    straight = positions_mm[0] + np.outer(np.arange(len(positions_mm)) * pitch, normal)
    if np.linalg.norm(positions_mm - straight, axis=1).max() > IN_PLANE_TOLERANCE_MM:
        _require_upright(positions_mm, normal)
        raise SeriesPitchUneven("the slices are shifted against each other in their plane")
    return pitch


def _require_upright(positions_mm: NDArray[np.float64], normal: NDArray[np.float64]) -> None:
    """Raise if the slices' corners lie on a straight line that leans: a grid, but not a rectangular one."""
    line = np.linspace(positions_mm[0], positions_mm[-1], len(positions_mm))
    if np.linalg.norm(positions_mm - line, axis=1).max() <= IN_PLANE_TOLERANCE_MM:
        along = positions_mm[-1] - positions_mm[0]
        lean = np.degrees(np.arctan2(np.linalg.norm(np.cross(along, normal)), along @ normal))
        raise SeriesTilted(f"the stack leans by {lean:.1f} degree against its slices' normal")


def _when(plane: Plane) -> tuple[float, int]:
    return (plane.time, plane.instance_number)


def _times(ordered: list[list[Frame]], known: Mapping[Frame, Plane]) -> tuple[float, ...]:
    """Median trigger time of each phase in ms; empty for a still volume or without trigger times."""
    times = np.array([[known[frame].time for frame in members] for members in ordered])
    if times.shape[1] == 1 or not all(known[frame].trigger for members in ordered for frame in members):
        return ()
    return tuple(float(t) for t in np.median(times, axis=0))

"""Contours as people draw them -> pixels of a mask.

Comes in: the contours JSON. Goes out: a mask in which each structure is annotated exactly where it was drawn.
Convention of pixels: see `polygon`; `points_px` (or `points`) are (column, row), `points_mm` are LPS.

- Several contours of one structure on one (frame, slice) follow the even-odd rule: a second one inside makes a hole.
- `lv_epicardium` encloses blood pool and myocardium: where endo and epi are drawn, myocardium = epi minus endo.
- Where only the endocardium is drawn, the myocardium is unknown: not annotated, never background.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from irp_kernel import Geometry, LabelTable, Mask
from irp_kernel.errors import GeometryMismatch
from irp_kernel.mask import VALUE_OF
from numpy.typing import NDArray

from irp_annotation.domain.errors import BadContours, EpicardiumAlone, TooManyContours
from irp_annotation.domain.polygon import Points, rasterise
from irp_annotation.domain.structures import EPICARDIUM, LabelChoice, Structures

MAX_POINTS = 1_000_000  # points in one request; beyond: TOO_MANY_CONTOURS
OUTSIDE_PX = 2.0  # pixels that a contour may reach beyond the image
PLANE_TOLERANCE_MM = 0.5  # mm that a point may lie off its slice's plane, and never more than a quarter of the pitch

# Later ones win where hand-drawn contours overlap by a pixel: the blood pool cuts the myocardium, scar lies on it.
_PAINTED = ("rv_blood_pool", "lv_myocardium", "lv_blood_pool", "scar", "no_reflow")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contour:
    """One closed line.

    Attributes:
        structure: name as drawn: own, canonical, or `lv_epicardium`.
        frame: time index.
        slice: slice index.
        points: (n, 2), (column, row) in pixels.
    """

    structure: str
    frame: int
    slice: int
    points: Points


def read_contours(data: bytes, geometry: Geometry) -> tuple[list[Contour], Mapping[str, object]]:
    """Parse the contours JSON.

    Returns:
        The contours, and the whole document (it may carry `annotated`).

    Raises:
        BadContours: not such a document, or a frame or slice outside the grid.
        GeometryMismatch: points off their slice or outside the image.
        TooManyContours: beyond the limit of points.
    """
    try:
        document = json.loads(data)
        entries = document["contours"]
        if not isinstance(entries, list):
            raise BadContours
        contours = [_contour(entry, geometry) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise BadContours from None
    if sum(len(contour.points) for contour in contours) > MAX_POINTS:
        raise TooManyContours(limit=MAX_POINTS)
    return contours, document


def draw(contours: Iterable[Contour], geometry: Geometry, structures: Structures, choice: LabelChoice) -> Mask:
    """Contours -> mask, annotated where drawn.

    Raises:
        UnknownStructure: a contour names what is not known.
        EpicardiumAlone: an epicardium without endocardium on its (frame, slice).
    """
    drawn = _by_place(contours, structures, choice)
    names = [name for name in VALUE_OF if any(name in place for place in drawn.values())]
    if any(EPICARDIUM in place for place in drawn.values()) and "lv_myocardium" not in names:
        names.insert(1, "lv_myocardium")
    table = LabelTable.canonical(names)
    labels = np.zeros(geometry.array_shape, dtype=np.uint8)
    annotated = np.zeros((geometry.frames, geometry.shape[0], len(names)), dtype=np.bool_)
    for (frame, slice_), lines in drawn.items():
        regions = _regions(lines, geometry.shape[1:])
        for name in _PAINTED:
            if name in regions:
                labels[frame, slice_][regions[name]] = VALUE_OF[name]
                annotated[frame, slice_, table.index(name)] = True
    return Mask(geometry=geometry, labels=labels, table=table, annotated=annotated)


def _by_place(
    contours: Iterable[Contour], structures: Structures, choice: LabelChoice
) -> dict[tuple[int, int], dict[str, list[Points]]]:
    places: dict[tuple[int, int], dict[str, list[Points]]] = defaultdict(lambda: defaultdict(list))
    for contour in contours:
        name = _canonical(contour.structure, structures, choice)
        if name is not None:
            places[contour.frame, contour.slice][name].append(contour.points)
    return places


def _canonical(name: str, structures: Structures, choice: LabelChoice) -> str | None:
    if name in choice:
        return choice.by_key[name]
    return EPICARDIUM if name.casefold() == EPICARDIUM else structures.canonical(name)


def _regions(lines: Mapping[str, list[Points]], shape: tuple[int, int]) -> dict[str, NDArray[np.bool_]]:
    regions = {name: rasterise(polygons, shape) for name, polygons in lines.items()}
    epicardium = regions.pop(EPICARDIUM, None)
    if epicardium is not None:
        if "lv_blood_pool" not in regions:
            raise EpicardiumAlone
        regions["lv_myocardium"] = regions.get("lv_myocardium", False) | (epicardium & ~regions["lv_blood_pool"])
    return regions


def _contour(entry: Mapping[str, object], geometry: Geometry) -> Contour:
    frame = _index(entry.get("frame", 0), geometry.frames)
    if "points_mm" in entry:
        points, slice_ = _from_mm(_points(entry["points_mm"], 3), entry.get("slice"), geometry)
    else:
        points, slice_ = (
            _points(entry.get("points_px", entry.get("points")), 2),
            _index(entry["slice"], geometry.shape[0]),
        )
    low, high = points.min(axis=0), points.max(axis=0)
    size = np.array([geometry.shape[2], geometry.shape[1]])
    if (low < -0.5 - OUTSIDE_PX).any() or (high > size - 0.5 + OUTSIDE_PX).any():
        raise GeometryMismatch("a contour lies outside the image", frame=frame, slice=slice_)
    if not isinstance(entry["structure"], str):
        raise BadContours
    return Contour(structure=entry["structure"], frame=frame, slice=slice_, points=points)


def _from_mm(points_mm: NDArray[np.float64], said: object, geometry: Geometry) -> tuple[Points, int]:
    index = geometry.to_index(points_mm)
    slice_ = round(float(index[:, 0].mean())) if said is None else _index(said, geometry.shape[0])
    pitch = geometry.spacing_mm[0]
    off_mm = float(np.abs(index[:, 0] - slice_).max()) * pitch
    allowed_mm = min(PLANE_TOLERANCE_MM, pitch / 4)
    if off_mm > allowed_mm or not 0 <= slice_ < geometry.shape[0]:
        raise GeometryMismatch(f"a contour lies {off_mm:.2f} mm off its slice, allowed are {allowed_mm:.2f} mm")
    return index[:, [2, 1]], slice_


def _points(values: object, dimensions: int) -> NDArray[np.float64]:
    points = np.asarray(values, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != dimensions or len(points) < 3 or not np.isfinite(points).all():
        raise BadContours("a contour needs at least three finite points")
    return points


def _index(value: object, count: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < count:
        raise BadContours(f"a frame or slice lies outside 0 to {count - 1}")
    return value

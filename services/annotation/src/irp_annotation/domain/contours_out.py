"""A mask -> contours JSON: borders in pixels and millimetres, areas, what was annotated, provenance.

The borders run half-way between pixel centres, so drawing them again gives the same mask.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from irp_kernel import Geometry, Mask
from irp_kernel.outline import enclosed_area
from numpy.typing import NDArray

from irp_annotation.domain.annotated import state_annotated
from irp_annotation.domain.polygon import Points, trace
from irp_annotation.domain.provenance import Provenance

DIGITS = 4  # of a millimetre or pixel


def write_contours(mask: Mask, series_uid: str, provenance: Provenance) -> bytes:
    """Contours JSON.

    `areas` holds one entry per structure and annotated (frame, slice): area = pixels x area of a pixel.
    """
    judged = list(_judged(mask))
    document = {
        "series_uid": series_uid,
        "contours": [line for lines, _ in judged for line in lines],
        "areas": [found for _, found in judged],
        "annotated": state_annotated(mask),
        "provenance": dataclasses.asdict(provenance),
    }
    return json.dumps(document, separators=(",", ":")).encode()


def contour_entry(structure: str, frame: int, slice_: int, points: Points, geometry: Geometry) -> dict[str, Any]:
    """One contour of the JSON.

    Args:
        structure: its name.
        frame: time index.
        slice_: slice index.
        points: (n, 2) as (column, row) in pixels.
        geometry: the image's grid.
    """
    index = np.column_stack([np.full(len(points), slice_), points[:, 1], points[:, 0]])
    return {
        "structure": structure,
        "frame": frame,
        "slice": slice_,
        "points_px": np.round(points, DIGITS).tolist(),
        "points_mm": np.round(geometry.to_patient(index), DIGITS).tolist(),
        "area_mm2": round(enclosed_area(points) * pixel_mm2(geometry), DIGITS),
    }


def pixel_mm2(geometry: Geometry) -> float:
    """Area of one pixel within a slice, mm2."""
    return float(np.linalg.norm(np.cross(geometry.matrix[:3, 1], geometry.matrix[:3, 2])))


def _judged(mask: Mask) -> Iterator[tuple[list[dict[str, Any]], dict[str, Any]]]:
    geometry = mask.geometry
    for name in mask.table.names:
        where = mask.of(name)
        for frame, slice_ in np.argwhere(mask.judged(name)).tolist():
            region: NDArray[np.bool_] = where[frame, slice_]
            pixels = int(region.sum())
            found = {"structure": name, "frame": frame, "slice": slice_, "pixels": pixels}
            found["area_mm2"] = round(pixels * pixel_mm2(geometry), DIGITS)
            yield [contour_entry(name, frame, slice_, line, geometry) for line in trace(region)], found

"""Compact answers of the classification server, as what people asked for: files, contours, packed labels."""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np
from irp.inference.v1 import inference_service_pb2 as pb
from irp_kernel import Geometry, LabelTable
from irp_kernel.geometry import to_matrix
from irp_kernel.mask import Label
from irp_kernel.outline import Points, enclosed_area, outline
from irp_kernel.slices import LabelledSlices

DIGITS = 4  # of a millimetre or pixel


def labels_of(answer: pb.SegmentResponse) -> LabelledSlices:
    """Message -> labels; milliseconds for whole volumes: call it in a thread."""
    labels, grid = answer.labels, answer.grid
    frames, slices = tuple(labels.frames), tuple(labels.slices)
    array = np.frombuffer(zlib.decompress(labels.data), dtype=np.uint8)
    return LabelledSlices(
        geometry=geometry_of(grid),
        labels=array.reshape(len(frames), len(slices), labels.rows, labels.columns),
        frames=frames,
        slices=slices,
        table=LabelTable(tuple(Label(value=value, name=name) for value, name in sorted(labels.table.items()))),
    )


def geometry_of(grid: pb.Grid) -> Geometry:
    """Message -> grid of the series."""
    return Geometry(
        shape=(grid.slices, grid.rows, grid.columns),
        affine=to_matrix(np.reshape(grid.affine, (4, 4))),
        frames=grid.frames,
        frame_times_ms=tuple(grid.frame_times_ms),
    )


def contours_of(found: LabelledSlices) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(contours, areas): borders half-way between pixel centres, in pixels and mm; pixels and mm2 of each slice."""
    contours, areas = [], []
    pixel_mm2 = _pixel_mm2(found.geometry)
    for label in found.table.labels:
        for place in np.ndindex(found.labels.shape[:2]):
            region = found.labels[place] == label.value
            slice_ = found.slices[place[1]]
            where = {"structure": label.name, "frame": found.frames[place[0]], "slice": slice_}
            pixels = int(np.count_nonzero(region))
            areas.append({**where, "pixels": pixels, "area_mm2": round(pixels * pixel_mm2, DIGITS)})
            contours += [{**where, **_line(line, slice_, found.geometry)} for line in outline(region)]
    return contours, areas


def contours_json(
    found: LabelledSlices, series_uid: str, provenance: dict[str, Any], estimate: dict[str, Any]
) -> bytes:
    """Contours as exported segmentations say them, and how far they can be trusted."""
    contours, areas = contours_of(found)
    annotated = [[frame, slice_] for frame in found.frames for slice_ in found.slices]
    document = {
        "series_uid": series_uid,
        "contours": contours,
        "areas": areas,
        "annotated": dict.fromkeys(found.table.names, annotated),
        "provenance": provenance,
        "estimate": estimate,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _line(points: Points, slice_: int, geometry: Geometry) -> dict[str, Any]:
    index = np.column_stack([np.full(len(points), slice_), points[:, 1], points[:, 0]])
    return {
        "points_px": np.round(points, DIGITS).tolist(),
        "points_mm": np.round(geometry.to_patient(index), DIGITS).tolist(),
        "area_mm2": round(enclosed_area(points) * _pixel_mm2(geometry), DIGITS),
    }


def _pixel_mm2(geometry: Geometry) -> float:
    return float(np.linalg.norm(np.cross(geometry.matrix[:3, 1], geometry.matrix[:3, 2])))

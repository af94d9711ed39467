"""A small series as annotation knows it: grid, instances, de-identified header; and masks on it."""

from __future__ import annotations

import numpy as np
from irp_annotation.domain.provenance import Provenance
from irp_annotation.domain.seg_read import Grid
from irp_annotation.domain.seg_write import SegContext
from irp_annotation.domain.series import Place
from irp_annotation.domain.structures import Structure, Structures
from irp_kernel import Geometry, LabelTable, Mask
from irp_kernel.mask import CANONICAL, VALUE_OF

ALONG_A_ROW, DOWN_A_COLUMN = (0.8, 0.6, 0.0), (0.0, 0.0, -1.0)
STRUCTURES = Structures(tuple(Structure(name=name, canonical=name) for name in CANONICAL.values()))
PROVENANCE = Provenance(actor="reader-1", at="2026-01-02T03:04:05+00:00")


def a_grid(
    *, frames: int = 2, slices: int = 3, size: int = 32, row_direction: tuple[float, float, float] = ALONG_A_ROW
) -> Grid:
    """A stack with other spacings along rows and columns; the slices run as the two directions say."""
    geometry = Geometry.from_dicom(
        position_mm=(-20.0, 13.5, 40.25),
        spacing_mm=(8.0, 1.25, 1.5),
        shape=(slices, size, size + 4),
        frames=frames,
        row_direction=row_direction,
        column_direction=DOWN_A_COLUMN,
    )
    places = [[f"1.2.3.4.{frame}.{place}" for place in range(slices)] for frame in range(frames)]
    return Grid(geometry=geometry, instances=tuple(tuple(map(Place, row)) for row in places))


def in_one_instance(grid: Grid) -> Grid:
    """The same stack as frames of one instance, of which the last image comes first."""
    frames, slices = grid.geometry.array_shape[:2]
    last = frames * slices
    places = tuple(tuple(Place("1.2.3.4", last - t * slices - s) for s in range(slices)) for t in range(frames))
    return Grid(geometry=grid.geometry, instances=places)


def a_context(grid: Grid) -> SegContext:
    """What a SEG of this series says beside its pixels."""
    header = {
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.4"]},
        "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
        "0020000E": {"vr": "UI", "Value": ["1.2.3.4"]},
        "00200052": {"vr": "UI", "Value": ["1.2.3.5"]},
        "00080060": {"vr": "CS", "Value": ["MR"]},
        "00100020": {"vr": "LO", "Value": ["P-0123456789abcdef"]},
        "00120062": {"vr": "CS", "Value": ["YES"]},
    }
    return SegContext(header=header, instances=grid.instances, provenance=PROVENANCE, identity="one")


def a_mask(grid: Grid) -> Mask:
    """Ring and pool on the first frame, pool alone on the second: there the myocardium is unknown."""
    frames, slices, rows, columns = grid.geometry.array_shape
    y, x = np.mgrid[:rows, :columns]
    distance = np.hypot(y - rows / 2 + 0.3, x - columns / 2 - 2)
    labels = np.zeros(grid.geometry.array_shape, dtype=np.uint8)
    labels[0, :, distance < 10] = VALUE_OF["lv_myocardium"]
    labels[:, :, distance < 6] = VALUE_OF["lv_blood_pool"]
    table = LabelTable.canonical(["lv_blood_pool", "lv_myocardium"])
    annotated = np.ones((frames, slices, 2), dtype=np.bool_)
    annotated[1:, :, 1] = False
    return Mask(geometry=grid.geometry, labels=labels, table=table, annotated=annotated)


def same(one: Mask, other: Mask) -> bool:
    """Equal labels, table and judgements."""
    return (
        np.array_equal(one.labels, other.labels)
        and one.table == other.table
        and np.array_equal(one.annotated, other.annotated)
    )

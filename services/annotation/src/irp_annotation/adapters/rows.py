"""Domain <-> JSON columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from irp_kernel import Geometry, ObjectRef, Uid

from irp_annotation.domain.provenance import ModelRef, Provenance
from irp_annotation.domain.review import State
from irp_annotation.domain.segmentation import Segmentation, StructureSummary
from irp_annotation.domain.series import Series
from irp_annotation.domain.structures import Structure, Structures

Row = Mapping[Any, Any]


def series_to_row(series: Series) -> dict[str, Any]:
    """Series -> columns."""
    return asdict(series)


def series_from_row(row: Row) -> Series:
    """Columns -> Series."""
    grid = row["geometry"]
    return Series(
        project=row["project"],
        uid=Uid(row["uid"]),
        version=row["version"],
        geometry=Geometry(
            shape=tuple(grid["shape"]),
            affine=tuple(tuple(line) for line in grid["affine"]),
            frames=grid["frames"],
            frame_times_ms=tuple(grid["frame_times_ms"]),
        ),
        volume=ObjectRef(**row["volume"]),
        header=ObjectRef(**row["header"]),
        instances=ObjectRef(**row["instances"]),
        passport=row["passport"],
    )


def segmentation_to_row(segmentation: Segmentation) -> dict[str, Any]:
    """Segmentation -> columns."""
    row = asdict(segmentation)
    return {**row, "state": segmentation.state.value, "structures": list(row["structures"])}


def segmentation_from_row(row: Row) -> Segmentation:
    """Columns -> Segmentation."""
    said = dict(row["provenance"])
    model = said.pop("model")
    return Segmentation(
        id=row["id"],
        project=row["project"],
        series_uid=row["series_uid"],
        version=row["version"],
        revision=row["revision"],
        state=State(row["state"]),
        volume_version=row["volume_version"],
        mask=ObjectRef(**row["mask"]),
        structures=tuple(StructureSummary(**entry) for entry in row["structures"]),
        provenance=Provenance(model=ModelRef(**model) if model else None, **said),
    )


def structures_to_row(structures: Structures) -> list[dict[str, Any]]:
    """Structures -> JSON."""
    return [asdict(item) for item in structures.items]


def structures_from_row(items: Sequence[Row]) -> Structures:
    """JSON -> Structures."""
    return Structures(tuple(Structure(**item) for item in items))

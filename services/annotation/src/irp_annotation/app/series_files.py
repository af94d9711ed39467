"""The small files beside a volume: the header, and which instance lies where."""

from __future__ import annotations

import json
from typing import Any

from irp_kernel.errors import DataLoss

from irp_annotation.app.ports import Objects
from irp_annotation.domain.series import Instances, Place, Series


async def read_instances(objects: Objects, series: Series) -> Instances:
    """The image at [time][slice]; `frames` stands beside `instances` only if instances have several frames.

    Raises:
        DataLoss: the stored index cannot be read.
    """
    document = _parsed(await objects.get(series.instances))
    try:
        rows = document["instances"]
        frames = document.get("frames") or [[0] * len(row) for row in rows]
        return tuple(
            tuple(Place(str(uid), int(frame)) for uid, frame in zip(row, numbers, strict=True))
            for row, numbers in zip(rows, frames, strict=True)
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DataLoss("a series' index of instances cannot be read") from None


async def read_header(objects: Objects, series: Series) -> dict[str, Any]:
    """De-identified DICOM JSON of one instance.

    Raises:
        DataLoss: the stored header cannot be read.
    """
    document = _parsed(await objects.get(series.header))
    header = document[0] if isinstance(document, list) and document else document
    if not isinstance(header, dict):
        raise DataLoss("a series' header cannot be read")
    return header


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise DataLoss("a series' stored JSON cannot be read") from None

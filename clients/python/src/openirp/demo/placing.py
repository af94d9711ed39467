"""Which instance lies at which (frame, slice) of the assembled series, by the house's own rules.

Slice 0 is the lowest along row x column direction; the frame is the rank of TriggerTime at its slice position.
Positions and times survive de-identification, so the uploader can know this without asking.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable

import numpy as np

SAME_PLACE_MM = 0.01

Place = tuple[int, int]  # (frame, slice)


def places(files: Iterable[bytes]) -> dict[int, Place]:
    """InstanceNumber -> (frame, slice)."""
    import pydicom

    rows = []
    tags = ["InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "TriggerTime"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file in files:
            header = pydicom.dcmread(io.BytesIO(file), stop_before_pixels=True, specific_tags=list(tags))
            along = np.asarray(header.ImageOrientationPatient, dtype=np.float64)
            height = float(np.dot(np.cross(along[:3], along[3:]), np.asarray(header.ImagePositionPatient, np.float64)))
            rows.append((height, float(header.TriggerTime), int(header.InstanceNumber)))
    found: dict[int, Place] = {}
    for slice_, stack in enumerate(_stacks(sorted(rows))):
        for frame, number in enumerate(number for _, _, number in sorted(stack, key=lambda row: row[1:])):
            found[number] = (frame, slice_)
    return found


def _stacks(rows: list[tuple[float, float, int]]) -> list[list[tuple[float, float, int]]]:
    stacks: list[list[tuple[float, float, int]]] = []
    for row in rows:
        if stacks and abs(stacks[-1][0][0] - row[0]) <= SAME_PLACE_MM:
            stacks[-1].append(row)
        else:
            stacks.append([row])
    return stacks

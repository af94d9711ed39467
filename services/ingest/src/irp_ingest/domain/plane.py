"""Where and when one image lies. Source: PS3.3 C.7.6.2 (Image Plane) and C.7.6.18 (cardiac synchronisation)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from pydicom import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """The plane of an image, and its place in time.

    Attributes:
        position_mm: ImagePositionPatient, LPS.
        orientation: ImageOrientationPatient, six direction cosines.
        spacing_mm: PixelSpacing (between rows, between columns).
        matrix: (rows, columns).
        time: TriggerTime in ms, else TemporalPositionIdentifier, else 0 (the instance number decides).
        trigger: True if `time` is a trigger time in ms.
        instance_number: InstanceNumber, 0 if none.
        phases_said: CardiacNumberOfImages or NumberOfTemporalPositions, 0 if none: what the header says of its series.
        thickness_mm: SliceThickness, 0 if none.
    """

    position_mm: tuple[float, float, float]
    orientation: tuple[float, ...]
    spacing_mm: tuple[float, float]
    matrix: tuple[int, int]
    time: float
    trigger: bool
    instance_number: int
    phases_said: int = 0
    thickness_mm: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """For a JSON column."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Plane:
        """From a JSON column."""
        tuples: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()}
        return cls(**tuples)


def plane_of(dataset: Dataset) -> Plane | None:
    """The plane of a single-frame image; None if it does not say it."""
    try:
        position = tuple(float(x) for x in dataset.ImagePositionPatient)
        orientation = tuple(float(x) for x in dataset.ImageOrientationPatient)
        spacing = tuple(float(x) for x in dataset.PixelSpacing)
        matrix = (int(dataset.Rows), int(dataset.Columns))
        frames = int(dataset.get("NumberOfFrames") or 1)
    except (AttributeError, TypeError, ValueError):
        return None
    finite = all(math.isfinite(number) for number in (*position, *orientation, *spacing))
    if (len(position), len(orientation), len(spacing), frames) != (3, 6, 2, 1) or not finite or min(spacing) <= 0:
        return None
    time, trigger = _time(dataset)
    return Plane(
        position_mm=(position[0], position[1], position[2]),
        orientation=orientation,
        spacing_mm=(spacing[0], spacing[1]),
        matrix=matrix,
        time=time,
        trigger=trigger,
        instance_number=int(_number(dataset, "InstanceNumber") or 0),
        phases_said=int(
            _number(dataset, "CardiacNumberOfImages") or _number(dataset, "NumberOfTemporalPositions") or 0
        ),
    )


def _time(dataset: Dataset) -> tuple[float, bool]:
    trigger = _number(dataset, "TriggerTime")
    if trigger is None:
        trigger = _number(dataset, "NominalCardiacTriggerDelayTime")
    if trigger is not None:
        return trigger, True
    return _number(dataset, "TemporalPositionIdentifier") or 0.0, False


def _number(dataset: Dataset, keyword: str) -> float | None:
    try:
        number = float(dataset.get(keyword))
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None

"""Where and when one image lies. Source: PS3.3 C.7.6.2 (Image Plane) and C.7.6.18 (cardiac synchronisation)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from pydicom import Dataset

from irp_ingest.domain.component import component_of


class Frame(NamedTuple):
    """One image: an instance, or one frame of it.

    Attributes:
        uid: SOP Instance UID.
        number: frame number, counted from 1; 1 for a single-frame instance.
    """

    uid: str
    number: int = 1


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
        instance_number: InstanceNumber, 0 if none; the frame number within a multi-frame instance.
        phases_said: CardiacNumberOfImages or NumberOfTemporalPositions, 0 if none: what the header says of its series.
        thickness_mm: SliceThickness, 0 if none.
        component: of a complex image: magnitude, real, phase or imaginary; empty if not said.
        content: hash of pixels and rescaling, by which copies are known; empty if not taken.
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
    component: str = ""
    content: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For a JSON column."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Plane:
        """From a JSON column."""
        tuples: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()}
        return cls(**tuples)


def planes_to_json(planes: Sequence[Plane]) -> dict[str, Any] | list[dict[str, Any]] | None:
    """For a JSON column: null if unknown, one plane as it is, those of several frames as a list."""
    told = [plane.to_dict() for plane in planes]
    return told if len(told) > 1 else next(iter(told), None)


def planes_from_json(found: dict[str, Any] | list[dict[str, Any]] | None) -> tuple[Plane, ...]:
    """From a JSON column."""
    told = found if isinstance(found, list) else [found] if found else []
    return tuple(Plane.from_dict(one) for one in told)


def plane_of(dataset: Dataset, content: str = "") -> Plane | None:
    """The plane of a single-frame image; None if it does not say it."""
    if int(number_in(dataset, "NumberOfFrames") or 1) != 1:
        return None
    time, trigger = _time(dataset)
    return make_plane(
        position=dataset.get("ImagePositionPatient"),
        orientation=dataset.get("ImageOrientationPatient"),
        spacing=dataset.get("PixelSpacing"),
        matrix=(dataset.get("Rows"), dataset.get("Columns")),
        time=time,
        trigger=trigger,
        instance_number=int(number_in(dataset, "InstanceNumber") or 0),
        phases_said=phases_said(dataset),
        thickness_mm=thickness_of(dataset),
        component=component_of(dataset.get("ImageType"), dataset.get("ComplexImageComponent")),
        content=content,
    )


def make_plane(*, position: Any, orientation: Any, spacing: Any, matrix: tuple[Any, Any], **more: Any) -> Plane | None:
    """A plane from values as a header has them; None unless they are finite numbers and lengths above zero."""
    try:
        x, y, z = (float(value) for value in position)
        directions = tuple(float(value) for value in orientation)
        between_rows, between_columns = (float(value) for value in spacing)
        rows, columns = (int(value) for value in matrix)
    except (AttributeError, TypeError, ValueError):
        return None
    finite = all(math.isfinite(number) for number in (x, y, z, *directions, between_rows, between_columns))
    if len(directions) != 6 or not finite or min(between_rows, between_columns, rows, columns) <= 0:
        return None
    return Plane(
        position_mm=(x, y, z),
        orientation=directions,
        spacing_mm=(between_rows, between_columns),
        matrix=(rows, columns),
        **more,
    )


def phases_said(dataset: Dataset) -> int:
    """How many phases the header says that its series has; 0 if it does not."""
    return int(number_in(dataset, "CardiacNumberOfImages") or number_in(dataset, "NumberOfTemporalPositions") or 0)


def thickness_of(dataset: Dataset) -> float:
    """SliceThickness in mm; 0 if there is none above zero."""
    return max(number_in(dataset, "SliceThickness") or 0.0, 0.0)


def number_in(dataset: Dataset, keyword: str) -> float | None:
    """A finite number of the dataset, else None."""
    try:
        number = float(dataset.get(keyword))
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _time(dataset: Dataset) -> tuple[float, bool]:
    trigger = number_in(dataset, "TriggerTime")
    if trigger is None:
        trigger = number_in(dataset, "NominalCardiacTriggerDelayTime")
    if trigger is not None:
        return trigger, True
    return number_in(dataset, "TemporalPositionIdentifier") or 0.0, False

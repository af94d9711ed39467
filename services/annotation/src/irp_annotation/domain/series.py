"""The images that are annotated, as this room remembers them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from irp_kernel import Geometry, ObjectRef, Uid


class Place(NamedTuple):
    """The image that a slice of the volume was made of.

    Attributes:
        uid: SOPInstanceUID.
        frame: frame number, counted from 1; 0 if the instance is a single image.
    """

    uid: str
    frame: int = 0


Instances = tuple[tuple[Place, ...], ...]  # [time][slice]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRevision:
    """A project at one revision of its configuration, as every call and fact names it."""

    id: str
    revision: int
    configuration: ObjectRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One version of a series' volume.

    Attributes:
        project: the project it belongs to.
        uid: SeriesInstanceUID (de-identified).
        version: of the volume; late instances make a new one.
        geometry: the volume's grid.
        volume: the volume's bytes.
        header: DICOM JSON of one instance; SEG needs it.
        instances: JSON that says which SOP instance lies at [time][slice].
        passport: the series as ingest described it, passed on unread with an acceptance.
    """

    project: str
    uid: Uid
    version: int
    geometry: Geometry
    volume: ObjectRef
    header: ObjectRef
    instances: ObjectRef
    passport: bytes

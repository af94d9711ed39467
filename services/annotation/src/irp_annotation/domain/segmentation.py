"""One immutable version of a mask, with the state it is in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from irp_kernel import Mask, ObjectRef

from irp_annotation.domain.provenance import Provenance
from irp_annotation.domain.review import State


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureSummary:
    """How much of a structure a mask holds.

    Attributes:
        name: canonical name.
        value: in the mask's array.
        voxels: summed over time.
        annotated: number of (time, slice) pairs on which it was judged.
    """

    name: str
    value: int
    voxels: int
    annotated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """A stored mask.

    Attributes:
        id: hash of what was sent, by whom and how: the same again is the same segmentation.
        series_uid: the series it lies on.
        version: 1, 2, ... within the series.
        revision: counts the changes of state, for optimistic concurrency.
        volume_version: version of the volume it was drawn on.
        mask: its NRRD.
    """

    id: str
    project: str
    series_uid: str
    version: int
    revision: int
    state: State
    volume_version: int
    mask: ObjectRef
    structures: tuple[StructureSummary, ...]
    provenance: Provenance


def identity(*parts: str) -> str:
    """The identifier that content gives: 40 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:40]


def summarise(mask: Mask) -> tuple[StructureSummary, ...]:
    """Voxels and annotated slices of every structure."""
    return tuple(
        StructureSummary(
            name=label.name,
            value=label.value,
            voxels=int((mask.labels == label.value).sum()),
            annotated=int(mask.annotated[:, :, index].sum()),
        )
        for index, label in enumerate(mask.table.labels)
    )

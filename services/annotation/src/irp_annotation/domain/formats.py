"""The doors of the house for masks: which media types come in and go out.

NIfTI and NRRD carry labels on a grid, DICOM SEG frames, JSON contours. Whatever comes in ends as a mask with canonical
labels on exactly the series' grid; nothing is resampled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from irp_kernel import LabelTable, Mask, decode_mask, encode_mask
from irp_kernel.codec import NIFTI, NRRD
from irp_kernel.errors import NotAcceptable, UnknownStructure, UnsupportedMediaType
from irp_kernel.mask import CANONICAL, VALUE_OF, Label
from irp_kernel.nrrd import read_nrrd

from irp_annotation.domain.annotated import apply_annotated, read_annotated
from irp_annotation.domain.contours import draw, read_contours
from irp_annotation.domain.contours_out import write_contours
from irp_annotation.domain.errors import NothingDrawn
from irp_annotation.domain.seg_read import Grid, read_seg
from irp_annotation.domain.seg_write import SegContext, write_seg
from irp_annotation.domain.structures import LabelChoice, Structures, read_label_table, required

DICOM, JSON = "application/dicom", "application/json"
EXTENSION: Mapping[str, str] = {NRRD: "nrrd", NIFTI: "nii.gz", DICOM: "dcm", JSON: "json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What somebody sent.

    Attributes:
        media_type: one of `EXTENSION`.
        body: the bytes.
        label_table: JSON or empty.
        annotated: JSON or empty.
    """

    media_type: str
    body: bytes
    label_table: str = ""
    annotated: str = ""


def decode_upload(upload: Upload, grid: Grid, structures: Structures) -> Mask:
    """What was sent -> mask on the series' grid, canonical labels, `annotated` as stated or as the format implies.

    Raises:
        UnsupportedMediaType: a media type that is not taken.
        NothingDrawn: no structure in it, and none said to be annotated.
        GeometryMismatch: not on the series' grid.
        UnknownStructure: something is named that is not known.
        BadVolumeFile, BadContours, BadSegmentationObject, BadLabelTable, BadAnnotated: not readable.
    """
    choice = read_label_table(upload.label_table, structures)
    statement = read_annotated(upload.annotated)
    if upload.media_type in (NRRD, NIFTI):
        mask = _decode_volume(upload.body, grid, structures, choice)
    elif upload.media_type == DICOM:
        mask = read_seg(upload.body, grid, structures, choice)
    elif upload.media_type == JSON:
        contours, document = read_contours(upload.body, grid.geometry)
        mask = draw(contours, grid.geometry, structures, choice)
        if statement is None and isinstance(document.get("annotated"), dict):
            statement = document["annotated"]  # type: ignore[assignment]
    else:
        raise UnsupportedMediaType(f"masks are taken as {', '.join(EXTENSION)}")
    if statement is not None:
        mask = apply_annotated(mask, statement, structures)
    if not mask.table.labels:
        raise NothingDrawn
    return mask


def encode_answer(mask: Mask, media_type: str, series_uid: str, context: SegContext) -> bytes:
    """Mask -> bytes of the asked media type.

    Raises:
        NotAcceptable: a media type that is not given.
    """
    if media_type in (NRRD, NIFTI):
        return encode_mask(mask, media_type)
    if media_type == DICOM:
        return write_seg(mask, context)
    if media_type == JSON:
        return write_contours(mask, series_uid, context.provenance)
    raise NotAcceptable(f"masks are given as {', '.join(EXTENSION)}")


def _decode_volume(body: bytes, grid: Grid, structures: Structures, choice: LabelChoice) -> Mask:
    mask = _read_labels(body, choice)
    grid.geometry.require_same_grid(mask.geometry)
    meaning = _meaning(mask, structures, choice)
    names = {name for name in meaning.values() if name is not None}
    table = LabelTable.canonical(name for name in VALUE_OF if name in names)
    labels = np.zeros_like(mask.labels)
    annotated = np.zeros((*mask.annotated.shape[:2], len(table.labels)), dtype=np.bool_)
    for index, label in enumerate(mask.table.labels):
        name = meaning[label.value]
        if name is not None:
            labels[mask.labels == label.value] = VALUE_OF[name]
            annotated[:, :, table.index(name)] |= mask.annotated[:, :, index]
    return Mask(geometry=grid.geometry, labels=labels, table=table, annotated=annotated)


def _read_labels(body: bytes, choice: LabelChoice) -> Mask:
    """The mask with the file's own values; names are resolved afterwards."""
    if body[:7] == b"NRRD000" and "irp_labels" in read_nrrd(body).fields:
        return decode_mask(body)
    plain = tuple(Label(value=value, name=str(value)) for value in range(1, 256))
    mask = decode_mask(body, LabelTable(plain))
    present = {int(value) for value in np.unique(mask.labels) if value}
    said = present | {value for value in choice.by_value if 1 <= value <= 255}
    kept = LabelTable(tuple(label for label in plain if label.value in said))
    if not kept.labels:
        nothing = np.zeros((*mask.annotated.shape[:2], 0), dtype=np.bool_)
        return Mask(geometry=mask.geometry, labels=mask.labels, table=kept, annotated=nothing)
    return Mask.annotated_where_labelled(mask.geometry, mask.labels, kept)


def _meaning(mask: Mask, structures: Structures, choice: LabelChoice) -> dict[int, str | None]:
    """Value in the file -> canonical name: the request's table, else the file's own names, else canonical values."""
    if choice.by_key:
        return {value: required(choice.by_value, value) for value in mask.table.values}
    meaning: dict[int, str | None] = {}
    for label in mask.table.labels:
        if label.name != str(label.value):
            meaning[label.value] = structures.canonical(label.name)
        elif CANONICAL.get(label.value) in structures.canonical_names:
            meaning[label.value] = CANONICAL[label.value]
        else:
            raise UnknownStructure(f"value {label.value} is none of the project's structures", value=label.value)
    return meaning

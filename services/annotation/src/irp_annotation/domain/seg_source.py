"""The series' images as highdicom wants them: one header, told where each instance lies. No pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from irp_kernel import Geometry
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from irp_annotation.domain.errors import VolumeMovedOn

_KEPT = (
    "SpecificCharacterSet", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID",
    "PositionReferenceIndicator", "Modality", "PatientID", "PatientName", "PatientBirthDate", "PatientSex",
    "PatientAge", "AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName",
    "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence", "SliceThickness",
)  # fmt: skip
_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName",
)  # fmt: skip


def read_header(header: Mapping[str, object] | list[Mapping[str, object]]) -> Dataset:
    """DICOM JSON (PS3.18 annex F), one object or a list of one -> the attributes that a SEG takes over.

    Raises:
        VolumeMovedOn: the header names no study, series or class.
    """
    full = Dataset.from_json(dict(header[0] if isinstance(header, list) else header))
    kept = Dataset()
    for keyword in _KEPT:
        if keyword in full:
            kept[keyword] = full[keyword]
    for keyword in _EMPTY:
        if keyword not in kept:
            setattr(kept, keyword, "")
    if not all(kept.get(keyword) for keyword in ("SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID")):
        raise VolumeMovedOn("the series' header names no study, series and class")
    if not kept.get("FrameOfReferenceUID"):
        kept.FrameOfReferenceUID = kept.SeriesInstanceUID  # a series' images share one frame of reference
    return kept


def source_images(header: Mapping[str, object], geometry: Geometry, uids: Sequence[str]) -> list[Dataset]:
    """One dataset per slice, under the UIDs given: highdicom tells images apart by UID, which frames have in common."""
    base = read_header(header)
    matrix, spacing = geometry.matrix, geometry.spacing_mm
    base.Rows, base.Columns = geometry.shape[1:]
    base.PixelSpacing = [_ds(spacing[1]), _ds(spacing[2])]
    base.SpacingBetweenSlices = _ds(spacing[0])
    if not base.get("SliceThickness"):
        base.SliceThickness = _ds(spacing[0])
    directions = np.concatenate([matrix[:3, 2] / spacing[2], matrix[:3, 1] / spacing[1]])
    base.ImageOrientationPatient = [_ds(x) for x in directions]
    images = []
    for slice_, uid in enumerate(uids):
        image = Dataset()
        image.update(base)
        image.SOPInstanceUID = uid
        position = geometry.to_patient(np.array([slice_, 0.0, 0.0]))
        image.ImagePositionPatient = [_ds(x) for x in position]
        images.append(image)
    return images


def _ds(number: float) -> DSfloat:
    return DSfloat(float(number), auto_format=True)  # at most 16 characters, PS3.5 6.2

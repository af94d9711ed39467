"""A picture made into an MR Image Storage file with a nominal geometry: for collections that lost their headers."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Where a picture lies in its series. All of it is nominal: never measure in mm on such a series.

    Attributes:
        patient: PatientID and PatientName; also what the UIDs are made from.
        number: InstanceNumber.
        slice: place along row x column direction, in pitches; may be negative.
        pitch_mm: from slice to slice.
        pixel_mm: between pixel centres.
        trigger_ms: TriggerTime; None = not gated.
        description: SeriesDescription.
    """

    patient: str
    number: int
    slice: int
    pitch_mm: float
    pixel_mm: float
    trigger_ms: float | None = None
    description: str = ""


def uid(*words: object) -> UID:
    """The same words, the same UID (2.25. and 120 bits of a hash)."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).hexdigest()
    return UID(f"2.25.{int(digest[:30], 16)}")


def mr_instance(pixels: NDArray[np.unsignedinteger], at: Sheet, *, bits: int) -> bytes:
    """A DICOM file.

    Args:
        pixels: (row, column), values below 2**bits.
        at: where it lies.
        bits: BitsStored.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid(at.patient, at.number)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid(at.patient, "study"), uid(at.patient, "series")
    dataset.FrameOfReferenceUID = uid(at.patient, "frame")
    dataset.PatientID, dataset.PatientName = at.patient, at.patient
    dataset.PatientBirthDate, dataset.PatientSex = "", ""
    dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber, dataset.StudyID = "20120101", "", "", ""
    dataset.ReferringPhysicianName, dataset.PositionReferenceIndicator, dataset.Laterality = "", "", ""
    dataset.Modality, dataset.Manufacturer, dataset.ImageType = "MR", "", ["DERIVED", "SECONDARY", "OTHER"]
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "GR", "SS", ""
    dataset.MRAcquisitionType, dataset.EchoTime, dataset.EchoTrainLength = "2D", "", ""
    dataset.SeriesNumber, dataset.InstanceNumber = 1, at.number
    if at.description:
        dataset.SeriesDescription = at.description
    if at.trigger_ms is not None:
        dataset.TriggerTime = at.trigger_ms
    _add_grid(dataset, at)
    _add_pixels(dataset, pixels, bits)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _add_grid(dataset: Dataset, at: Sheet) -> None:
    dataset.ImagePositionPatient = [0.0, 0.0, at.slice * at.pitch_mm]
    dataset.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    dataset.PixelSpacing = [at.pixel_mm, at.pixel_mm]
    dataset.SliceThickness = dataset.SpacingBetweenSlices = at.pitch_mm


def _add_pixels(dataset: Dataset, pixels: NDArray[np.unsignedinteger], bits: int) -> None:
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, bits, bits - 1, 0
    dataset.PixelData = pixels.astype("<u2").tobytes()

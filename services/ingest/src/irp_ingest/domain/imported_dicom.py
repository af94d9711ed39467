"""An imported image -> single-frame DICOM instances, as a scanner would have sent them; pure, for worker processes.

Every UID derives from the content (voxels, place, times): the same image is the same series, whatever its file is
called, however it is packed, and whoever sends it again. What is written is what the sender said, and numbers.
"""

from __future__ import annotations

import hashlib
import io
import json
import uuid
from dataclasses import dataclass

import numpy as np
from irp_kernel.ids import Uid
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage
from pydicom.valuerep import format_number_as_ds

from irp_ingest.domain.errors import ImportNotDescribed
from irp_ingest.domain.imported import ImportedImage, read_image

CLASSES = {"MR": MRImageStorage, "CT": CTImageStorage}
# What an image must have, and may leave empty: programs that read DICOM rely on it. Source: PS3.3 C.7.1.1, C.7.2.1,
# C.7.3.1, C.7.4.1, C.7.5.1, C.8.3.1 (MR), C.8.2.1 (CT)
EMPTY = ("PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
         "ReferringPhysicianName", "Manufacturer", "PositionReferenceIndicator", "PatientPosition",
         "AcquisitionNumber")  # fmt: skip
EMPTY_OF = {
    "MR": ("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength"),
    "CT": ("KVP",),
}
MAX_TEXT = 64  # characters of a Long String, PS3.5 table 6.2-1


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What the sender says of an image; de-identified with it.

    Attributes:
        patient: original identifier.
        modality: "MR" or "CT".
        description: SeriesDescription.
        sequence: ProtocolName.
    """

    patient: str
    modality: str = "MR"
    description: str = ""
    sequence: str = ""

    def __post_init__(self) -> None:
        if self.modality not in CLASSES:
            raise ImportNotDescribed("the modality is MR or CT")
        if not self.patient.strip():
            raise ImportNotDescribed("the patient's identifier is missing")
        for name in ("patient", "description", "sequence"):
            text = getattr(self, name)
            if len(text) > MAX_TEXT or "\\" in text or not text.isprintable():
                raise ImportNotDescribed(f"`{name}` has at most {MAX_TEXT} printable characters and no backslash")


def to_instances(data: bytes, description: Description, max_bytes: int) -> list[bytes]:
    """DICOM Part 10 files of a NIfTI or NRRD file, by time point and slice; raises as `read_image`."""
    image = read_image(data, max_bytes=max_bytes)
    content = _digest(image)
    series = _series(image, content, description)
    frames, slices = image.stored.array.shape[:2]
    return [_part10(_instance(series, image, content, t, s)) for t in range(frames) for s in range(slices)]


def _digest(image: ImportedImage) -> str:
    stored = image.stored
    said = [stored.slope, stored.intercept, str(stored.array.dtype), stored.array.shape, image.times_ms]
    found = hashlib.sha256(json.dumps(said).encode())
    found.update(np.ascontiguousarray(image.affine).tobytes())
    found.update(np.ascontiguousarray(stored.array).data)
    return found.hexdigest()


def _uid(content: str, *place: object) -> Uid:
    """A UUID-derived UID. Source: PS3.5 annex B.2."""
    digest = hashlib.sha256("/".join([content, *map(str, place)]).encode()).digest()
    return Uid(f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}")


def _series(image: ImportedImage, content: str, said: Description) -> Dataset:
    """What all instances have in common."""
    ds = Dataset()
    for keyword in (*EMPTY, *EMPTY_OF[said.modality]):
        setattr(ds, keyword, None)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    ds.SOPClassUID, ds.Modality = CLASSES[said.modality], said.modality
    ds.PatientID = said.patient
    ds.StudyInstanceUID, ds.SeriesInstanceUID = _uid(content, "study"), _uid(content, "series")
    ds.FrameOfReferenceUID = _uid(content, "frame of reference")
    ds.SeriesDescription, ds.ProtocolName = said.description, said.sequence
    ds.SeriesNumber = 1
    row, column = (image.affine[:3, axis] / np.linalg.norm(image.affine[:3, axis]) for axis in (2, 1))
    ds.ImageOrientationPatient = _decimals(np.concatenate([row, column]))
    pitch_mm, between_rows, between_columns = np.linalg.norm(image.affine[:3, :3], axis=0)
    ds.PixelSpacing, ds.SliceThickness = _decimals([between_rows, between_columns]), _decimals([pitch_mm])[0]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = image.stored.array.shape[2:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelRepresentation = int(image.stored.array.dtype == np.int16)
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = image.stored.slope, image.stored.intercept, "US"
    if said.modality == "CT":
        ds.RescaleType = "HU"
    else:
        ds.ScanningSequence, ds.SequenceVariant = "RM", "NONE"  # research mode: how it was measured is not known
    return ds


def _instance(series: Dataset, image: ImportedImage, content: str, t: int, s: int) -> Dataset:
    frames, slices = image.stored.array.shape[:2]
    ds = Dataset()
    ds.update(series)
    ds.SOPInstanceUID, ds.InstanceNumber = _uid(content, t, s), t * slices + s + 1
    ds.ImagePositionPatient = _decimals(image.affine[:3, 3] + s * image.affine[:3, 0])
    if frames > 1:
        ds.TemporalPositionIdentifier, ds.NumberOfTemporalPositions = t + 1, frames
    if image.times_ms:
        ds.TriggerTime = _decimals([image.times_ms[t]])[0]
    ds.PixelData = image.stored.array[t, s].astype(image.stored.array.dtype.newbyteorder("<")).tobytes()
    return ds


def _part10(ds: Dataset) -> bytes:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _decimals(numbers: NDArray[np.float64] | list[float]) -> list[str]:
    """Decimal strings of at most 16 characters. Source: PS3.5 table 6.2-1."""
    return [format_number_as_ds(float(number)) for number in numbers]

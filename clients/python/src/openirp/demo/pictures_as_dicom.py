"""Six CC0 patients that exist as pictures only, made into MR DICOM files with a nominal geometry.

Pixel values are the pictures'; positions, spacing and trigger times are nominal and say so: never measure in mm here.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from openirp.demo.hearts import Heart, instance_number

PHASES = 20  # frames per slice position in the original cine
PITCH_MM, PIXEL_MM, PHASE_MS = 10.0, 1.37, 40.0  # nominal


def picture_heart(folder: Path, name: str) -> Heart:
    """A patient of the PNG set: slices that have both end-diastole and end-systole, cavity masks as truth."""
    images = {instance_number(p.name): p for p in sorted((folder / "png" / "images").glob(f"{name}-*.png"))}
    slices: dict[int, list[int]] = {}
    for number in images:
        slices.setdefault((number - 1) // PHASES, []).append(number)
    kept = {place: sorted(numbers) for place, numbers in slices.items() if len(numbers) == 2}
    heart = Heart(name, [], source="PNG made into DICOM, nominal geometry; cavity only")
    for place, numbers in sorted(kept.items()):
        for number in numbers:
            heart.files.append(_dicom(name, place, number, _read(images[number])))
            label = folder / "png" / "labels" / images[number].name
            heart.cavity_masks[number] = _read(label) > 0
    return heart


def _read(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"), dtype=np.uint8)


def uid(*words: object) -> UID:
    """The same words, the same UID (2.25. and 120 bits of a hash)."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).hexdigest()
    return UID(f"2.25.{int(digest[:30], 16)}")


def _dicom(name: str, place: int, number: int, pixels: NDArray[np.uint8]) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid(name, number)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid(name, "study"), uid(name, "series")
    dataset.FrameOfReferenceUID = uid(name, "frame")
    dataset.PatientID, dataset.PatientName, dataset.PatientBirthDate, dataset.PatientSex = name, name, "", ""
    dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber, dataset.StudyID = "20120101", "", "", ""
    dataset.ReferringPhysicianName, dataset.PositionReferenceIndicator, dataset.Laterality = "", "", ""
    dataset.Modality, dataset.Manufacturer, dataset.ImageType = "MR", "", ["DERIVED", "SECONDARY", "OTHER"]
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "GR", "SS", ""
    dataset.MRAcquisitionType, dataset.EchoTime, dataset.EchoTrainLength = "2D", "", ""
    dataset.SeriesNumber, dataset.InstanceNumber = 1, number
    dataset.ImagePositionPatient = [0.0, 0.0, place * PITCH_MM]
    dataset.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    dataset.PixelSpacing = [PIXEL_MM, PIXEL_MM]
    dataset.SliceThickness = dataset.SpacingBetweenSlices = PITCH_MM
    dataset.TriggerTime = (number - 1) % PHASES * PHASE_MS
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 8, 7, 0
    dataset.PixelData = pixels.astype("<u2").tobytes()
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()

"""Builders for tests of the engine."""

from __future__ import annotations

import io

from irp_deid import ProjectSecret, SiteKey
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

KEY = ProjectSecret(bytes(range(32))).site_key("north")
STUDY, SERIES, INSTANCE = "1.2.826.0.1.3680043.9.1", "1.2.826.0.1.3680043.9.2", "1.2.826.0.1.3680043.9.3"


def another_key(secret: int = 7, site: str = "north") -> SiteKey:
    """K_site of another project (or site)."""
    return ProjectSecret(bytes([secret]) * 32).site_key(site)


def an_instance(**attributes: object) -> Dataset:
    """A small MR image with a patient; further attributes by keyword."""
    ds = Dataset()
    ds.SOPClassUID, ds.Modality = MRImageStorage, "MR"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = STUDY, SERIES, INSTANCE
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Quixote^Alonso", "LM-1605", "16050116"
    ds.StudyDate, ds.StudyTime = "20230203", "101112"
    ds.Rows = ds.Columns = 2
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = bytes(range(8))
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def to_bytes(ds: Dataset) -> bytes:
    """Part 10, explicit VR little endian."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()

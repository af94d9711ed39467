"""What is never taken, for no rule on attributes can make it safe: documents, captures, burned-in text."""

from __future__ import annotations

from pydicom import uid
from pydicom._uid_dict import UID_dictionary
from pydicom.dataset import Dataset

from irp_deid.errors import (
    BurnedInAnnotation,
    EncapsulatedDocument,
    SecondaryCapture,
    SopClassUnknown,
    StructuredReport,
)
from irp_deid.profile import Profile

_CAPTURES = "Secondary Capture"
_DOCUMENTS = ("Encapsulated", "Raw Data", "Media Storage Directory", "Waveform", "Video", "Audio")
_REPORTS = (" SR ", "Structured", "Key Object Selection", "Radiopharmaceutical Radiation Dose", "Imaging Report")
# Modalities that draw names into their images as a rule: taken only if the file says that it did not.
_DRAWING = ("Ultrasound", "VL Endoscopic", "VL Photographic", "Ophthalmic Photography")


def refuse_unsafe(dataset: Dataset, profile: Profile) -> None:
    """Raise if the instance must not enter.

    Raises:
        SopClassUnknown: private, or no storage class.
        SecondaryCapture: screen shots.
        StructuredReport: reports of any kind, unless structured content is cleaned.
        EncapsulatedDocument: documents, raw data, recordings, directories.
        BurnedInAnnotation: said to be there, or likely and not denied.
    """
    sop_class = uid.UID(str(dataset.get("SOPClassUID", "")))
    name = sop_class.name if sop_class in UID_dictionary else ""
    if "Storage" not in name and "Directory" not in name:
        raise SopClassUnknown
    if _CAPTURES in name:
        raise SecondaryCapture
    if any(word in name for word in _DOCUMENTS):
        raise EncapsulatedDocument
    if any(word in name for word in _REPORTS) and not profile.has("113103"):
        raise StructuredReport
    said = str(dataset.get("BurnedInAnnotation", "") or "").strip().upper()
    if said == "YES" or (said != "NO" and any(word in name for word in _DRAWING)):
        raise BurnedInAnnotation

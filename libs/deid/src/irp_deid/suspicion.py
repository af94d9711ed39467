"""Whether an instance may name somebody where rules on attributes do not look: in pixels, documents, free texts.

Told from the header alone. An ordinary image of CT, MR, PET and the like says nothing of Burned In Annotation and is
no suspect; one that is drawn by a machine that writes names into its pictures is, unless it denies it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from pydicom import uid
from pydicom._uid_dict import UID_dictionary
from pydicom.dataset import Dataset

from irp_deid.errors import (
    BurnedInAnnotation,
    EncapsulatedDocument,
    InstanceRefused,
    SecondaryCapture,
    StructuredReport,
)
from irp_deid.profile import Profile

_CAPTURES = "Secondary Capture"
_DOCUMENTS = "Encapsulated"
_REPORTS = (" SR ", "Structured", "Key Object Selection", "Radiopharmaceutical Radiation Dose", "Imaging Report")
# Modalities that draw names into their images as a rule: no suspects only if the file says that it did not.
_DRAWING = ("Ultrasound", "VL ", "Ophthalmic Photography", "Dermoscopic", "Intravascular")
# Image Type of screens, reports and labels that come as objects of an ordinary modality.
_SCREEN = re.compile(r"SCREEN|CAPTURE|SNAPSHOT|DOSE.?INFO|REPORT|PROTOCOL|LABEL|OVERVIEW")


class Kind(StrEnum):
    """What it is that may name somebody."""

    IMAGE = "image"
    REPORT = "report"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why an instance may name somebody.

    Attributes:
        kind: what a person would have to look at.
        error: the refusal, where nobody keeps suspects apart.
    """

    kind: Kind
    error: type[InstanceRefused]


def suspicion_of(dataset: Dataset, profile: Profile) -> Suspicion | None:
    """The first reason for suspicion; None for what the engine alone can clean.

    Reports whose content the profile cleans (113103) are no suspects.
    """
    name = class_name(dataset)
    if _DOCUMENTS in name:
        return Suspicion(Kind.DOCUMENT, EncapsulatedDocument)
    if any(word in name for word in _REPORTS):
        return None if profile.has("113103") else Suspicion(Kind.REPORT, StructuredReport)
    if _CAPTURES in name or "ConversionType" in dataset or _SCREEN.search(_image_type(dataset)):
        return Suspicion(Kind.IMAGE, SecondaryCapture)
    said = said_burned_in(dataset)
    if said not in {"", "NO"} or (not said and any(word in name for word in _DRAWING)):
        return Suspicion(Kind.IMAGE, BurnedInAnnotation)
    return None


def class_name(dataset: Dataset) -> str:
    """Name of the SOP class; empty for private and unknown ones."""
    sop_class = uid.UID(str(dataset.get("SOPClassUID", "")))
    return str(sop_class.name) if sop_class in UID_dictionary else ""


def said_burned_in(dataset: Dataset) -> str:
    """Burned In Annotation (0028,0301) in capitals; empty where the file does not say. Source: PS3.3 C.7.6.1."""
    return str(dataset.get("BurnedInAnnotation", "") or "").strip().upper()


def _image_type(dataset: Dataset) -> str:
    said = dataset.get("ImageType", "") or ""
    return (said if isinstance(said, str) else "\\".join(map(str, said))).upper()

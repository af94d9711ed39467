"""What the engine writes into every object: whose it is now, and what was done to it."""

from __future__ import annotations

from pydicom.dataset import Dataset

from irp_deid.profile import EDITION, OPTIONS, Profile

METHOD = "OpenIRP rule engine"
CLEAN_PIXELS = "113101"


def stamp(dataset: Dataset, pseudonym: str, profile: Profile) -> tuple[int, ...]:
    """Say in the object what was done to it, and whose it is now; returns the tags that were written.

    Source: PS3.15 E.1.1; PS3.3 C.12.1.1 and C.7.1.1.
    """
    dated = "UNMODIFIED" if profile.has("113106") else "MODIFIED" if profile.has("113107") else "REMOVED"
    written = {
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": pseudonym,
        "PatientID": pseudonym,
        "PatientIdentityRemoved": "YES",
        "DeidentificationMethod": [METHOD, EDITION],
        "DeidentificationMethodCodeSequence": [_code(option.code, option.meaning) for option in profile.codes],
        "LongitudinalTemporalInformationModified": dated,
    }
    for keyword, value in written.items():
        setattr(dataset, keyword, value)
    return tuple(int(dataset.data_element(keyword).tag) for keyword in written)  # type: ignore[union-attr]


def say_masked(dataset: Dataset) -> None:
    """Say in a de-identified object that regions of its pixels were masked. Source: PS3.15 E.3.1, PS3.3 C.7.6.1."""
    dataset.BurnedInAnnotation = "NO"
    codes = {str(item.CodeValue): item for item in dataset.DeidentificationMethodCodeSequence}
    codes.setdefault(CLEAN_PIXELS, _code(CLEAN_PIXELS, OPTIONS[CLEAN_PIXELS].meaning))
    dataset.DeidentificationMethodCodeSequence = [codes[code] for code in sorted(codes)]


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item

"""One file comes in, one de-identified instance goes out; pure and picklable, for it runs in worker processes.

The original's bytes live in memory only, and nothing of the original header leaves but the rules that it matched.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pydicom
from irp_deid import Deidentifier, SiteKeys
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from irp_ingest.domain.errors import DicomBroken, IdentifiersMissing, NotDicom, PixelsMayIdentify, StudyMismatch
from irp_ingest.domain.plane import Plane, plane_of
from irp_ingest.domain.sequence_class import candidates

# Values of foreign files would be printed by warnings.
warnings.filterwarnings("ignore", module="pydicom")
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE

NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
DOCUMENTS = ("1.2.840.10008.5.1.4.1.1.104.", "1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.9.")
SCREENS = (
    "1.2.840.10008.5.1.4.1.1.7",  # secondary capture, single and multi-frame
    "1.2.840.10008.5.1.4.1.1.6",  # ultrasound
    "1.2.840.10008.5.1.4.1.1.3",  # ultrasound multi-frame
    "1.2.840.10008.5.1.4.1.1.77.",  # visible light: photographs
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to do with a file.

    Attributes:
        site_key: K_site of project and site.
        options: Options of the de-identification profile (codes of CID 7050).
        sequences: `sequences` of the configuration.
        study_uid: original study that the address named, or empty.
    """

    site_key: bytes
    options: frozenset[str]
    sequences: Sequence[Mapping[str, Any]]
    study_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """A de-identified instance.

    Attributes:
        data: DICOM Part 10 bytes.
        fingerprint: keyed hash of the original file.
        study_uid, series_uid, sop_uid, sop_class, transfer_syntax: identifiers after de-identification.
        patient, site: pseudonyms.
        header: DICOM JSON without pixels.
        plane: where the image lies, or None.
        candidates: sequence rules that the original header matched.
    """

    data: bytes
    fingerprint: str
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class: str
    transfer_syntax: str
    patient: str
    site: str
    header: dict[str, Any]
    plane: Plane | None
    candidates: list[dict[str, Any]]


def take_in(original: bytes, order: Order) -> Intake:
    """Read, judge and de-identify one file.

    Raises:
        InstanceRefused: with its reason; nothing of the file is in the error.
    """
    dataset = _read(original)
    _judge(dataset, order)
    keys = SiteKeys(order.site_key)
    matched = candidates(order.sequences, _plain_header(dataset))
    report = Deidentifier(keys, order.options)(dataset)
    data = _write(dataset)
    plane = plane_of(dataset)
    for tag in [tag for tag in dataset if tag.tag.group == 0x7FE0]:
        del dataset[tag.tag]
    return Intake(
        data=data,
        fingerprint=keys.fingerprint(original),
        study_uid=str(dataset.StudyInstanceUID),
        series_uid=str(dataset.SeriesInstanceUID),
        sop_uid=str(dataset.SOPInstanceUID),
        sop_class=str(dataset.SOPClassUID),
        transfer_syntax=str(dataset.file_meta.TransferSyntaxUID),
        patient=report.patient,
        site=keys.site_name(),
        header=dataset.to_json_dict(suppress_invalid_tags=True),
        plane=plane,
        candidates=matched,
    )


def _read(original: bytes) -> Dataset:
    try:
        dataset = dcmread(io.BytesIO(original))
        _touch(dataset)
    except InvalidDicomError:
        raise NotDicom from None
    except Exception:
        # pydicom raises what it likes on broken files, with their values in the text
        raise DicomBroken from None
    if "TransferSyntaxUID" not in dataset.file_meta:
        raise DicomBroken
    return dataset


def _touch(dataset: Dataset) -> None:
    """Parse every element now: a broken one must not surprise us half-way."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                _touch(item)


def _judge(dataset: Dataset, order: Order) -> None:
    if any(not str(dataset.get(keyword, "")).strip() for keyword in NEEDED):
        raise IdentifiersMissing
    if order.study_uid and str(dataset.StudyInstanceUID) != order.study_uid:
        raise StudyMismatch
    sop_class, burned_in = str(dataset.SOPClassUID), str(dataset.get("BurnedInAnnotation", "")).upper()
    screen = any(sop_class == uid.rstrip(".") or sop_class.startswith(uid.rstrip(".") + ".") for uid in SCREENS)
    if sop_class.startswith(DOCUMENTS) or burned_in == "YES" or (screen and burned_in != "NO"):
        raise PixelsMayIdentify


def _plain_header(dataset: Dataset) -> dict[str, Any]:
    """Top-level values by keyword; several values are joined by a backslash, as DICOM writes them."""
    found = {}
    for element in dataset:
        if element.keyword and element.VR not in {"SQ", "OB", "OW", "UN", "OF", "OD"}:
            value = element.value
            several = not isinstance(value, str) and hasattr(value, "__iter__")
            found[element.keyword] = "\\".join(map(str, value)) if several else value
    return found


def _write(dataset: Dataset) -> bytes:
    file = io.BytesIO()
    try:
        dataset.save_as(file, enforce_file_format=True)
    except Exception:
        raise DicomBroken from None
    return file.getvalue()

"""One file comes in, one de-identified instance goes out; pure and picklable, for it runs in worker processes.

The original's bytes live in memory only, and nothing of the original header leaves but the rules that it matched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irp_deid import (
    PositiveList,
    Profile,
    SiteKey,
    after_meta,
    deidentify_file,
    quietly,
    read_part10,
    transfer_syntax_of,
)
from irp_deid.errors import CannotDeidentify, InstanceRefused
from pydicom.datadict import keyword_dict
from pydicom.dataset import Dataset, FileDataset

from irp_ingest.domain.errors import IdentifiersMissing, StudyMismatch
from irp_ingest.domain.plane import Plane, plane_of
from irp_ingest.domain.sequence_class import candidates

NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
PIXEL_GROUP = 0x7FE0
MAX_INLINE_BYTES = 1 << 14  # binary values beyond are left to the object itself
NO_TEXT = frozenset({"SQ", "OB", "OW", "OF", "OD", "OL", "OV", "UN"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to do with a file.

    Attributes:
        site_key: K_site of project and site.
        options: Options of the de-identification profile (codes of CID 7050).
        sequences: `sequences` of the configuration.
        study_uid: study that the address named, original or de-identified; or empty.
        positive_list: the only attributes that the project wants; None wants all that the profile keeps.
        vocabulary: words that descriptors may keep.
    """

    site_key: bytes
    options: frozenset[str]
    sequences: Sequence[Mapping[str, Any]]
    study_uid: str
    positive_list: PositiveList | None = None
    vocabulary: frozenset[str] = frozenset()

    @property
    def profile(self) -> Profile:
        """What the engine is to follow."""
        return Profile.of(codes=self.options, positive_list=self.positive_list, vocabulary=self.vocabulary)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """A de-identified instance.

    Attributes:
        data: DICOM Part 10 bytes.
        fingerprint: keyed hash of the original dataset's bytes.
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
    dataset = read_part10(original)
    try:
        with quietly():
            return _take_in(dataset, original, order)
    except InstanceRefused:
        raise
    except Exception:  # pydicom raises what it likes on odd files, with their values in the text
        raise CannotDeidentify from None


def _take_in(dataset: FileDataset, original: bytes, order: Order) -> Intake:
    key = SiteKey(order.site_key)
    _judge(dataset, order, key)
    keywords = {keyword for rule in order.sequences for keyword in rule["when"]}
    matched = candidates(order.sequences, _plain_header(dataset, keywords))
    data, _ = deidentify_file(original, key, order.profile)
    clean = read_part10(data)
    return Intake(
        data=data,
        fingerprint=key.fingerprint(after_meta(original)),
        study_uid=str(clean.StudyInstanceUID),
        series_uid=str(clean.SeriesInstanceUID),
        sop_uid=str(clean.SOPInstanceUID),
        sop_class=str(clean.SOPClassUID),
        transfer_syntax=str(transfer_syntax_of(dataset)),
        patient=str(clean.PatientID),
        site=key.site_name(),
        header=_header(clean),
        plane=plane_of(clean),
        candidates=matched,
    )


def _judge(dataset: Dataset, order: Order, key: SiteKey) -> None:
    if any(not str(dataset.get(keyword, "") or "").strip() for keyword in NEEDED):
        raise IdentifiersMissing
    study = str(dataset.StudyInstanceUID).strip()
    if order.study_uid and order.study_uid not in {study, key.uid(study)}:
        raise StudyMismatch


def _plain_header(dataset: Dataset, keywords: set[str]) -> dict[str, Any]:
    """Top-level values by keyword; several values are joined by a backslash, as DICOM writes them."""
    found = {}
    for keyword in keywords & set(keyword_dict):
        try:
            element = dataset[keyword]
        except Exception:  # noqa: S112 - an element that is not there or cannot be read matches no rule
            continue
        if element.VR not in NO_TEXT:
            value = element.value
            several = not isinstance(value, str) and hasattr(value, "__iter__")
            found[keyword] = "\\".join(map(str, value)) if several else value
    return found


def _header(clean: Dataset) -> dict[str, Any]:
    """DICOM JSON of everything but pixels and large binary values. Source: PS3.18 annex F."""
    found = Dataset()
    for element in clean:
        large = isinstance(element.value, bytes) and len(element.value) > MAX_INLINE_BYTES
        if element.tag.group != PIXEL_GROUP and not large:
            found.add(element)
    return dict(found.to_json_dict(suppress_invalid_tags=True))

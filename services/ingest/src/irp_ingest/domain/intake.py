"""One file comes in, one de-identified instance goes out; pure and picklable, for it runs in worker processes.

The original's bytes live in memory only, and nothing of the original header leaves but the rules that it matched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from irp_deid.declared import Declared
from irp_deid.errors import CannotDeidentify, InstanceRefused
from irp_deid.pixels import judge_pixels
from irp_deid.report import Report
from irp_deid.sequences import matching_sequences
from irp_kernel import sha256_of
from pydicom.dataset import Dataset, FileDataset

from irp_ingest.domain.doubt import Doubt, settle
from irp_ingest.domain.errors import IdentifiersMissing, StudyMismatch
from irp_ingest.domain.functional_groups import planes_of
from irp_ingest.domain.plane import Plane
from irp_ingest.domain.sequence_class import numbered

NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
PIXEL_GROUP = 0x7FE0
MAX_INLINE_BYTES = 1 << 14  # binary values beyond are left to the object itself


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
        declared: files of the uploader's report, by the SHA-256 of their bytes; None if they come as they are.
        pixels: rules about pixels, `deidentification.pixels` of the configuration.
    """

    site_key: bytes
    options: frozenset[str]
    sequences: Sequence[Mapping[str, Any]]
    study_uid: str
    positive_list: PositiveList | None = None
    vocabulary: frozenset[str] = frozenset()
    declared: Mapping[str, Declared] | None = None
    pixels: Sequence[Mapping[str, Any]] = ()

    @property
    def profile(self) -> Profile:
        """What the engine is to follow."""
        return Profile.of(codes=self.options, positive_list=self.positive_list, vocabulary=self.vocabulary)

    def about(self, data: bytes) -> Order:
        """The order with what the uploader's report says of this file only: workers need not hear of the others."""
        if self.declared is None:
            return self
        sha256 = sha256_of(data)
        return replace(self, declared={sha256: self.declared[sha256]} if sha256 in self.declared else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """A de-identified instance.

    Attributes:
        data: DICOM Part 10 bytes.
        fingerprint: keyed hash of the original dataset's bytes.
        study_uid, series_uid, sop_uid, sop_class, transfer_syntax: identifiers after de-identification.
        patient, site: pseudonyms.
        header: DICOM JSON without pixels.
        planes: where each frame lies; empty if one does not say it.
        candidates: sequence rules that the original header matched.
        sequences: their numbers in the configuration.
        report: what was done to the file.
        sha256: of `data`.
        doubt: why it must be kept apart until a person has looked at it; None if it may be stored.
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
    planes: tuple[Plane, ...]
    candidates: list[dict[str, Any]]
    sequences: tuple[int, ...]
    report: Report
    sha256: str
    doubt: Doubt | None = None


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
    matched = matching_sequences(order.sequences, dataset)
    verdict = judge_pixels(dataset, order.profile, order.pixels)
    data, report = deidentify_file(original, key, verdict.profile(order.profile))
    data, doubt = settle(data, verdict, dataset)
    declared = Declared(original=key.fingerprint(after_meta(original)), sequences=tuple(matched))
    return replace(intake_of(data, declared, report, order), doubt=doubt)


def intake_of(data: bytes, declared: Declared, report: Report, order: Order) -> Intake:
    """What the index keeps of a de-identified file."""
    candidates = numbered(order.sequences, declared.sequences)
    site = SiteKey(order.site_key).site_name()
    return replace(read_clean(data, declared.original, site, candidates, report), sequences=declared.sequences)


def read_clean(data: bytes, fingerprint: str, site: str, candidates: list[dict[str, Any]], report: Report) -> Intake:
    """What a de-identified file says of itself, with what only its original said."""
    clean = read_part10(data)
    return Intake(
        data=data,
        fingerprint=fingerprint,
        study_uid=str(clean.StudyInstanceUID),
        series_uid=str(clean.SeriesInstanceUID),
        sop_uid=str(clean.SOPInstanceUID),
        sop_class=str(clean.SOPClassUID),
        transfer_syntax=str(transfer_syntax_of(clean)),
        patient=str(clean.PatientID),
        site=site,
        header=_header(clean),
        planes=planes_of(clean),
        candidates=candidates,
        sequences=(),
        report=report,
        sha256=sha256_of(data),
    )


def _judge(dataset: Dataset, order: Order, key: SiteKey) -> None:
    require_identifiers(dataset)
    study = str(dataset.StudyInstanceUID).strip()
    if order.study_uid and order.study_uid not in {study, key.uid(study)}:
        raise StudyMismatch


def require_identifiers(dataset: Dataset) -> None:
    """Raise IdentifiersMissing unless the UIDs are there that every instance has."""
    if any(not str(dataset.get(keyword, "") or "").strip() for keyword in NEEDED):
        raise IdentifiersMissing


def _header(clean: Dataset) -> dict[str, Any]:
    """DICOM JSON of everything but pixels and large binary values. Source: PS3.18 annex F."""
    found = Dataset()
    for element in clean:
        large = isinstance(element.value, bytes) and len(element.value) > MAX_INLINE_BYTES
        if element.tag.group != PIXEL_GROUP and not large:
            found.add(element)
    return dict(found.to_json_dict(suppress_invalid_tags=True))

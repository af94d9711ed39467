"""The walk: a dataset comes in, a new dataset without the patient goes out, and a report that names no value.

Elements are copied over only when a rule says so; what no rule knows stays behind. Pixels are neither decoded nor
changed. Source: PS3.15 Annex E.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from irp_deid.errors import CannotDeidentify
from irp_deid.graphics import is_graphics, marks_region
from irp_deid.judge import FIRST_DATA_GROUP, Judge, Siblings
from irp_deid.keys import SiteKey, normal_id
from irp_deid.profile import EDITION, Action, Profile
from irp_deid.quiet import quietly
from irp_deid.raw import is_plain_number_or_bytes, vr_of
from irp_deid.refusals import refuse_unsafe
from irp_deid.report import Report, Tally
from irp_deid.text import Identifiers, identifiers_of
from irp_deid.values import Subject, reason_of

SAYING_WHO = frozenset({"SQ", "UN", "PN", "LO", "SH", "AE"})  # may hold an identifier, or what holds one
METHOD = "OpenIRP rule engine"


@dataclass(frozen=True, slots=True)
class Deidentified:
    """A dataset without the patient.

    Attributes:
        dataset: the new dataset; it shares the pixel bytes with the original.
        patient: the pseudonym, which is its PatientID.
        report: what was done.
    """

    dataset: Dataset
    patient: str
    report: Report


def deidentify(original: Dataset, key: SiteKey, profile: Profile, *, detailed: bool = False) -> Deidentified:
    """De-identify one instance; the report tells every element and why if `detailed`.

    Raises:
        InstanceRefused: its subclasses in `irp_deid.errors` say why it must not enter.
        CannotDeidentify: without the identifiers that every instance has.
    """
    with quietly():
        return _deidentify(original, key, profile, Tally(changes=[] if detailed else None))


def _deidentify(original: Dataset, key: SiteKey, profile: Profile, tally: Tally) -> Deidentified:
    refuse_unsafe(original, profile)
    patient = patient_of(original)
    walk = Walk(Judge(subject_of(original, key, profile), profile), tally)
    dataset, pseudonym = walk.dataset(original, "", strict=False), key.pseudonym(patient)
    tally.stamped(stamp(dataset, pseudonym, profile))
    if original.original_encoding[0] is False:  # explicit VR: numbers and pixels are written as they were read
        dataset.set_original_encoding(*original.original_encoding, dataset._character_set)
    return Deidentified(dataset, pseudonym, report_of(tally, profile))


def subject_of(original: Dataset, key: SiteKey, profile: Profile) -> Subject:
    """Whose file it is, and what in it says so."""
    return Subject(
        key,
        offset_of(key, patient_of(original), profile),
        identifiers_in(original, profile),
        retains_uids=profile.has("113110"),
        vocabulary=profile.vocabulary,
    )


def report_of(tally: Tally, profile: Profile) -> Report:
    """What was counted, and by which rules."""
    return Report(
        edition=EDITION,
        options=tuple(option.code for option in profile.options),
        positive_list=str(profile.positive_list or ""),
        vocabulary=len(profile.vocabulary),
        actions=dict(tally.actions),
        removed=tuple(tally.removed),
        changes=tuple(sorted(tally.changes or (), key=lambda change: change.path)),
    )


def patient_of(original: Dataset) -> str:
    """What tells the patient from others of the site: PatientID; without one, every study is a patient of its own.

    Raises:
        CannotDeidentify: no StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID.
    """
    uids = [str(original.get(keyword, "") or "") for keyword in ("StudyInstanceUID", "SeriesInstanceUID")]
    uids.append(str(original.get("SOPInstanceUID", "") or ""))
    if not all(uid.strip(" \x00") for uid in uids):
        raise CannotDeidentify("the file lacks its study, series or instance UID")
    patient_id = normal_id(str(original.get("PatientID", "") or ""))
    return patient_id or f"study {uids[0]}"


def offset_of(key: SiteKey, patient: str, profile: Profile) -> int | None:
    """Days that the patient's dates move; 0 keeps them; None empties them."""
    if profile.has("113106"):
        return 0
    return key.offset_days(patient) if profile.has("113107") else None


def why_it_stays(element: DataElement | RawDataElement | None, profile: Profile) -> str:
    """Why undecoded numbers and pixels stay (the judge would keep them too); empty where the judge must be asked."""
    if element is None or element.tag.is_private or is_graphics(element.tag):
        return ""
    vr = vr_of(element)
    if element.tag.element == 0 or element.tag.group < FIRST_DATA_GROUP or not dictionary_has_tag(element.tag):
        return ""
    if not is_plain_number_or_bytes(element, vr):
        return ""
    rule = profile.rule(int(element.tag), vr)
    if rule.action not in {None, Action.KEEP}:
        return ""
    return rule.why if rule.action else f"{rule.why}: {reason_of(vr)}"


@dataclass(frozen=True, slots=True)
class DatasetSiblings:
    """`judge.Siblings` of a dataset."""

    dataset: Dataset

    def creator(self, tag: int) -> str:
        """See `judge.Siblings`."""
        place = BaseTag((tag >> 16 << 16) | (tag >> 8 & 0xFF))
        return str(self.dataset[place].value).strip() if place in self.dataset else ""

    def marks_region(self, tag: int) -> bool:
        """See `judge.Siblings`."""
        return marks_region(BaseTag(tag), self.dataset)

    def scheme(self) -> str:
        """See `judge.Siblings`."""
        return str(self.dataset.get("CodingSchemeDesignator", "") or "")


@dataclass(frozen=True, slots=True)
class Walk:
    """One file's walk over datasets: asks the judge about each element and copies over what stays."""

    judge: Judge
    tally: Tally

    def dataset(self, original: Dataset, path: str, *, strict: bool) -> Dataset:
        """A new dataset of what stays; `path` ends in a dot inside items."""
        result, siblings = Dataset(), DatasetSiblings(original)
        for tag in sorted(original.keys()):
            here = f"{path}{int(tag):08X}"
            raw = original.get_item(tag)
            plain = why_it_stays(raw, self.judge.profile)
            if plain:
                self.tally.count("kept", here, plain)
                result[tag] = raw
                continue
            try:
                kept = self.element(original[tag], siblings, here, strict=strict)
            except CannotDeidentify:
                raise
            except Exception:  # the element's bytes do not fit its value representation: nobody knows what they say
                self.tally.count("unreadable", here, "its bytes do not fit its value representation")
                continue
            if kept is not None:
                result.add(kept)
        self._private_creators(result, siblings)
        return result

    def element(self, element: DataElement, siblings: Siblings, path: str, *, strict: bool) -> DataElement | None:
        """The element that stays in the place of this one; None removes it."""
        verdict = self.judge(element, siblings, strict=strict)
        if verdict.action == "walked":
            items = element.value or []
            kept = [self.dataset(item, f"{path}[{i}].", strict=verdict.strict) for i, item in enumerate(items)]
            self.tally.count("cleaned", path, f"{verdict.why}: its items one by one")
            return DataElement(element.tag, "SQ", Sequence(kept))
        self.tally.count(verdict.action, path, verdict.why)
        if verdict.action == "removed":
            return None
        if verdict.value is element.value:
            return element
        return DataElement(element.tag, element.VR, verdict.value)

    def _private_creators(self, result: Dataset, siblings: Siblings) -> None:
        """A kept private element needs its creator, a name from our own list."""
        for tag in filter(lambda tag: tag.is_private, list(result.keys())):
            place = BaseTag((tag.group << 16) | (tag.element >> 8))
            if place not in result:
                result.add(DataElement(place, "LO", siblings.creator(tag)))


def identifiers_in(original: Dataset, profile: Profile, *, known: frozenset[str] = frozenset()) -> Identifiers:
    """Names, and short texts that the profile takes away, at any depth; but for the `known`."""
    texts: list[str] = []
    names: list[str] = []
    for element in _every(original):
        if element.VR == "PN":
            names += _texts(element)
        elif element.VR in {"LO", "SH", "AE"} and says_who(int(element.tag), element.VR, profile):
            texts += _texts(element)
    return identifiers_of(set(texts) - known, set(names) - known)


def _every(dataset: Dataset) -> Iterator[DataElement]:
    for tag in list(dataset.keys()):
        vr = vr_of(dataset.get_item(tag))
        if vr and vr not in SAYING_WHO:
            continue
        try:
            element = dataset[tag]
        except Exception:  # noqa: S112 - unreadable elements are removed by the walk
            continue
        if element.VR == "SQ":
            for item in element.value or []:
                yield from _every(item)
        else:
            yield element


def _texts(element: DataElement) -> list[str]:
    values = element.value if isinstance(element.value, list) or element.VM > 1 else [element.value]
    return [str(value) for value in values or [] if value]


def says_who(tag: int, vr: str, profile: Profile) -> bool:
    """True for short texts that the table takes away: they must not survive inside other texts."""
    if tag >> 16 & 1:
        return False
    return profile.table_action(tag, vr) in {Action.REMOVE, Action.EMPTY, Action.DUMMY}


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


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item

"""The walk: a dataset comes in, a new dataset without the patient goes out, and a report that names no value.

Elements are copied over only when a rule says so; what no rule knows stays behind. Pixels are neither decoded nor
changed. Source: PS3.15 Annex E.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from irp_deid.errors import CannotDeidentify
from irp_deid.graphics import is_graphics, marks_region
from irp_deid.keys import SiteKey, normal_id
from irp_deid.profile import EDITION, Action, Profile
from irp_deid.quiet import quietly
from irp_deid.raw import is_plain_number_or_bytes, vr_of
from irp_deid.refusals import refuse_unsafe
from irp_deid.report import Report, Tally
from irp_deid.safe_private import is_safe_private
from irp_deid.text import Identifiers, identifiers_of
from irp_deid.values import TEXT, Subject, by_default, cleaned, dummy_of, empty_of, is_empty, mapped

PATIENT_ID, PATIENT_NAME = 0x00100020, 0x00100010
FIRST_DATA_GROUP = 0x0008
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


def deidentify(original: Dataset, key: SiteKey, profile: Profile) -> Deidentified:
    """De-identify one instance.

    Raises:
        InstanceRefused: its subclasses in `irp_deid.errors` say why it must not enter.
        CannotDeidentify: without the identifiers that every instance has.
    """
    with quietly():
        return _deidentify(original, key, profile)


def _deidentify(original: Dataset, key: SiteKey, profile: Profile) -> Deidentified:
    refuse_unsafe(original, profile)
    patient = patient_of(original)
    offset, identifiers = _offset(key, patient, profile), _identifiers(original, profile)
    subject = Subject(key, offset, identifiers, retains_uids=profile.has("113110"))
    walk = _Walk(subject, profile, key.pseudonym(patient), Tally())
    dataset = walk.dataset(original, "", strict=False)
    _stamp(dataset, walk.pseudonym, profile)
    if original.original_encoding[0] is False:  # explicit VR: numbers and pixels are written as they were read
        dataset.set_original_encoding(*original.original_encoding, dataset._character_set)
    report = Report(
        edition=EDITION,
        options=tuple(option.code for option in profile.codes),
        actions=dict(walk.tally.actions),
        removed=tuple(walk.tally.removed),
    )
    return Deidentified(dataset, walk.pseudonym, report)


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


def _offset(key: SiteKey, patient: str, profile: Profile) -> int | None:
    if profile.has("113106"):
        return 0
    return key.offset_days(patient) if profile.has("113107") else None


@dataclass(frozen=True, slots=True)
class _Walk:
    subject: Subject
    profile: Profile
    pseudonym: str
    tally: Tally

    def dataset(self, original: Dataset, path: str, *, strict: bool) -> Dataset:
        result = Dataset()
        for tag in sorted(original.keys()):
            here = f"{path}{int(tag):08X}"
            if self._stays_as_it_is(original.get_item(tag)):
                self.tally.count("kept", here)
                result[tag] = original.get_item(tag)
                continue
            try:
                element = original[tag]
                kept = self.element(element, original, here, strict=strict)
            except CannotDeidentify:
                raise
            except Exception:  # the element's bytes do not fit its value representation: nobody knows what they say
                self.tally.count("unreadable", here)
                continue
            if kept is None:
                self.tally.count("removed", here)
            else:
                result.add(kept)
        self._private_creators(original, result)
        return result

    def _stays_as_it_is(self, element: DataElement | RawDataElement | None) -> bool:
        """True for undecoded numbers and pixels that no rule wants changed; `element` would keep them too."""
        if element is None or element.tag.is_private or is_graphics(element.tag):
            return False
        vr = vr_of(element)
        if element.tag.element == 0 or element.tag.group < FIRST_DATA_GROUP or not dictionary_has_tag(element.tag):
            return False
        if not is_plain_number_or_bytes(element, vr):
            return False
        return self.profile.action(int(element.tag), vr) in {None, Action.KEEP}

    def element(self, element: DataElement, parent: Dataset, path: str, *, strict: bool) -> DataElement | None:
        """The element that stays in the place of this one; None removes it."""
        tag = element.tag
        if tag.element == 0 or tag.group < FIRST_DATA_GROUP:
            return None
        if tag.is_private:
            return self._private(element, parent, path)
        if tag == PATIENT_ID:
            own = normal_id(str(element.value or ""))
            return self._with(element, self.subject.key.pseudonym(own) if own else None, "replaced", path)
        if is_graphics(tag):
            return self._graphics(element, parent, path)
        if not dictionary_has_tag(tag) or element.VR == "UN":
            return None
        action = self.profile.action(int(tag), element.VR)
        if action is Action.KEEP and element.VR != "SQ":
            return self._with(element, element.value, "kept", path)
        if action is Action.REMOVE:
            return None
        if action is Action.EMPTY:
            return self._with(element, empty_of(element), "emptied", path)
        if element.VR == "SQ":
            return self._sequence(element, path, strict=strict or action is Action.DUMMY)
        return self._value(element, action, path, strict=strict)

    def _value(self, element: DataElement, action: Action | None, path: str, *, strict: bool) -> DataElement:
        if action is Action.UID:
            return self._with(element, mapped(element, self.subject), "replaced", path)
        if action is Action.DUMMY or (strict and element.VR in TEXT):
            return self._with(element, dummy_of(element, self.subject), "replaced", path)
        rule = cleaned if action is Action.CLEAN else by_default
        value = rule(element, self.subject)
        if is_empty(value) and not element.is_empty:
            return self._with(element, empty_of(element), "emptied", path)
        return self._with(element, value, "kept" if value == element.value else "cleaned", path)

    def _with(self, element: DataElement, value: Any, action: str, path: str) -> DataElement:
        self.tally.count(action, path)
        if value is element.value:
            return element
        return DataElement(element.tag, element.VR, value)

    def _sequence(self, element: DataElement, path: str, *, strict: bool) -> DataElement:
        items = [
            self.dataset(item, f"{path}[{index}].", strict=strict) for index, item in enumerate(element.value or [])
        ]
        self.tally.count("cleaned", path)
        return DataElement(element.tag, "SQ", Sequence(items))

    def _graphics(self, element: DataElement, parent: Dataset, path: str) -> DataElement | None:
        """Of overlays that mark a region, all but words; of others nothing, for no program can read what they draw."""
        if not (self.profile.has("113104") and marks_region(element.tag, parent)):
            return None
        if element.VR in TEXT:
            return self._with(element, cleaned(element, self.subject), "cleaned", path)
        return self._with(element, element.value, "kept", path)

    def _private(self, element: DataElement, parent: Dataset, path: str) -> DataElement | None:
        if not self.profile.has("113111") or element.tag.is_private_creator:
            return None
        creator = _creator_of(element.tag, parent)
        return self._with(element, element.value, "kept", path) if is_safe_private(creator, element) else None

    def _private_creators(self, original: Dataset, result: Dataset) -> None:
        """A kept private element needs its creator, a name from our own list."""
        for tag in filter(lambda tag: tag.is_private, list(result.keys())):
            place = BaseTag((tag.group << 16) | (tag.element >> 8))
            if place not in result:
                result.add(DataElement(place, "LO", _creator_of(tag, original)))


def _creator_of(tag: BaseTag, dataset: Dataset) -> str:
    place = (tag.group << 16) | (tag.element >> 8)
    return str(dataset[place].value).strip() if place in dataset else ""


def _identifiers(original: Dataset, profile: Profile) -> Identifiers:
    return identifiers_of([text for element in _every(original) for text in _identifying(element, profile)])


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


def _identifying(element: DataElement, profile: Profile) -> list[str]:
    """Names, and the short texts that the profile removes: they must not survive inside other texts."""
    values = element.value if isinstance(element.value, list) or element.VM > 1 else [element.value]
    texts = [str(value) for value in values or [] if value]
    if element.VR == "PN":
        return [part for text in texts for part in text.replace("=", "^").split("^")] + texts
    if element.VR in {"LO", "SH", "AE"} and not element.tag.is_private:
        action = profile.action(int(element.tag), element.VR)
        return texts if action in {Action.REMOVE, Action.EMPTY, Action.DUMMY} else []
    return []


def _stamp(dataset: Dataset, pseudonym: str, profile: Profile) -> None:
    """Say in the object what was done to it. Source: PS3.15 E.1.1; PS3.3 C.12.1.1 and C.7.1.1."""
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientID = dataset.PatientName = pseudonym
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = [METHOD, EDITION]
    dataset.DeidentificationMethodCodeSequence = [_code(option.code, option.meaning) for option in profile.codes]
    dated = "UNMODIFIED" if profile.has("113106") else "MODIFIED" if profile.has("113107") else "REMOVED"
    dataset.LongitudinalTemporalInformationModified = dated


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item

"""The walk: a dataset comes in, a new dataset without the patient goes out, and a report that names no value.

Elements are copied over only when a rule says so; what no rule knows stays behind. Pixels are neither decoded nor
changed. Source: PS3.15 Annex E.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from irp_deid.errors import CannotDeidentify
from irp_deid.graphics import is_graphics, marks_region
from irp_deid.identity import identifiers_in, patient_of, subject_of
from irp_deid.judge import FIRST_DATA_GROUP, Judge, Siblings
from irp_deid.keys import SiteKey
from irp_deid.profile import EDITION, Action, Profile
from irp_deid.quiet import quietly
from irp_deid.raw import is_plain_number_or_bytes, vr_of
from irp_deid.refusals import refuse_unsafe
from irp_deid.report import Report, Tally
from irp_deid.stamp import stamp
from irp_deid.values import reason_of


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
    subject = subject_of(key, profile, patient, identifiers_in(original, profile))
    walk = Walk(Judge(subject, profile), tally)
    dataset, pseudonym = walk.dataset(original, "", strict=False), key.pseudonym(patient)
    tally.stamped(stamp(dataset, pseudonym, profile))
    if original.original_encoding[0] is False:  # explicit VR: numbers and pixels are written as they were read
        dataset.set_original_encoding(*original.original_encoding, dataset._character_set)
    return Deidentified(dataset, pseudonym, report_of(tally, profile))


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

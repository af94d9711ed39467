"""Whose file it is: what tells the patient from others, and every word in the file that names the patient."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from irp_deid.errors import CannotDeidentify
from irp_deid.keys import SiteKey, normal_id
from irp_deid.profile import Action, Profile
from irp_deid.raw import vr_of
from irp_deid.text import Identifiers, identifiers_of
from irp_deid.values import Subject

SAYING_WHO = frozenset({"SQ", "UN", "PN", "LO", "SH", "AE"})  # may hold an identifier, or what holds one


def subject_of(key: SiteKey, profile: Profile, patient: str, identifiers: Identifiers) -> Subject:
    """All that replacing values needs to know."""
    return Subject(
        key,
        offset_of(key, patient, profile),
        identifiers,
        retains_uids=profile.has("113110"),
        vocabulary=profile.vocabulary,
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

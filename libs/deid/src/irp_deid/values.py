"""What each action makes of one value, by value representation. Nothing here looks at another element."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydicom._uid_dict import UID_dictionary
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue

from irp_deid.dates import shifted_date, shifted_datetime, valid_time
from irp_deid.keys import SiteKey
from irp_deid.raw import OPAQUE_GROUPS
from irp_deid.terms import is_defined_term
from irp_deid.text import Identifiers, clean_descriptor

TEMPORAL = frozenset({"DA", "DT", "TM"})
FREE_TEXT = frozenset({"LT", "ST", "UT"})
SHORT_TEXT = frozenset({"LO", "SH", "UC"})
TEXT = FREE_TEXT | SHORT_TEXT
NUMBERS = frozenset({"DS", "IS", "FL", "FD", "SL", "SS", "UL", "US", "SV", "UV", "AT"})
BULK = frozenset({"OB", "OW", "OF", "OD", "OL", "OV"})
DUMMY_TEXT = "REMOVED"
DUMMY_BYTES = bytes(8)  # a whole number of words of any size
_DUMMY = {"DA": "19000101", "DT": "19000101", "TM": "000000", "AS": "000Y", "DS": "0", "IS": "0", "UR": "urn:removed"}
_CODE_STRING = re.compile(r"[A-Za-z0-9 _+./-]{0,16}")
_UID = re.compile(r"[0-9.]{0,64}")
_AGE = re.compile(r"(\d{3}[DWMY])?")
_NUMBER_RUN = re.compile(r"\d{6,}")
# Defined terms that readers need; a patient may be called like one of them.
STRUCTURAL = frozenset({0x00080005, 0x00080008, 0x00080060, 0x00280004, 0x00185100, 0x00280301})


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose file it is, as far as replacing values needs it.

    Attributes:
        key: K_site.
        offset_days: days that dates move; 0 keeps them; None empties them.
        identifiers: what in this file identifies the patient.
        retains_uids: UIDs that the table does not name stay as they are.
        vocabulary: the project's words that descriptors may keep.
    """

    key: SiteKey
    offset_days: int | None
    identifiers: Identifiers
    retains_uids: bool = False
    vocabulary: frozenset[str] = frozenset()


def each(element: DataElement, change: Callable[[str], str]) -> Any:
    """Change every value of an element; empty values of several stay, for their places mean something."""
    value = element.value
    if isinstance(value, MultiValue | list | tuple):
        return [change(str(one)) for one in value]
    return change(str(value)) if value not in (None, "") else value


def well_formed(element: DataElement, subject: Subject) -> Any:
    """A value that an option retains; dates, times, ages and UIDs only if they are what they claim."""
    vr = element.VR
    if vr == "UI":
        return each(element, lambda uid: uid if _UID.fullmatch(uid) else subject.key.uid(uid))
    if vr == "AS":
        return each(element, lambda text: text if _AGE.fullmatch(text.strip()) else "")
    rules: dict[str, Callable[[str], str]] = {
        "DA": lambda text: text if shifted_date(text, 0) else "",
        "DT": lambda text: text if shifted_datetime(text, 0) else "",
        "TM": lambda text: text if valid_time(text) else "",
    }
    return each(element, rules[vr]) if vr in rules else element.value


def empty_of(element: DataElement) -> Any:
    """The zero-length value."""
    return [] if element.VR == "SQ" else b"" if element.VR in BULK | {"UN"} else None


def dummy_of(element: DataElement, subject: Subject) -> Any:
    """A value of the same kind that says nothing; empty stays empty."""
    if element.is_empty:
        return element.value
    if element.VR in TEMPORAL and subject.offset_days is not None:
        return moved(element, subject)
    if element.VR == "UI":
        return mapped(element, subject)
    if element.VR in BULK | {"UN"}:
        return DUMMY_BYTES
    if element.VR in NUMBERS - {"DS", "IS"}:
        return 0
    return _DUMMY.get(element.VR, DUMMY_TEXT)


def moved(element: DataElement, subject: Subject) -> Any:
    """Dates moved by the patient's offset, invalid ones emptied; times of day stay."""
    days = subject.offset_days
    if days is None:
        return None
    rules: dict[str, Callable[[str], str]] = {
        "DA": lambda text: shifted_date(text, days),
        "DT": lambda text: shifted_datetime(text, days),
        "TM": valid_time,
    }
    return each(element, rules[element.VR])


def mapped(element: DataElement, subject: Subject) -> Any:
    """UIDs replaced by keyed ones; UIDs that the standard itself registers stay."""
    return each(element, lambda uid: uid if not uid.strip() or uid in UID_dictionary else subject.key.uid(uid))


def cleaned(element: DataElement, subject: Subject) -> Any:
    """The value of a descriptor (or of anything else that is to be cleaned)."""
    if element.VR in TEMPORAL:
        return moved(element, subject)
    if element.VR == "UI":
        return mapped(element, subject)
    if element.VR in TEXT:
        return each(element, lambda text: clean_descriptor(text, subject.identifiers, subject.vocabulary))
    if element.VR in BULK:
        return None  # nobody knows what the bytes say
    return by_default(element, subject)


def by_default(element: DataElement, subject: Subject) -> Any:
    """The value of a public attribute that the table does not name; None where nothing is safe."""
    vr = element.VR.split(" or ")[0]  # "OB or OW", "US or SS": not yet written, but both are alike
    if vr in BULK:
        return None if element.tag.group in OPAQUE_GROUPS else element.value
    if vr in NUMBERS:
        return element.value
    if vr == "UI" and subject.retains_uids:
        return element.value
    if vr == "UI" or vr in TEMPORAL:
        return cleaned(element, subject)
    if vr in FREE_TEXT:
        return each(element, lambda text: clean_descriptor(text, subject.identifiers, subject.vocabulary))
    if vr in SHORT_TEXT:
        return each(element, subject.identifiers.without)
    if vr == "CS":
        return each(element, lambda text: _code_string(text, structural(element), subject.identifiers))
    return None


_REASONS = {
    **dict.fromkeys(NUMBERS, "numbers stay"),
    **dict.fromkeys(BULK, "binary data of images stay"),
    **dict.fromkeys(TEMPORAL, "dates move with the patient's, times stay"),
    **dict.fromkeys(FREE_TEXT, "free text keeps words of imaging"),
    **dict.fromkeys(SHORT_TEXT, "short text loses what identifies"),
    "UI": "UIDs are replaced unless the standard registers them",
    "CS": "defined terms stay",
}


def reason_of(vr: str) -> str:
    """What `by_default` does to a value representation, in words."""
    return _REASONS.get(vr, "nothing is known to be safe")


def structural(element: DataElement) -> bool:
    """True for attributes without whose defined terms the object could not be read."""
    return int(element.tag) in STRUCTURAL


def _code_string(text: str, is_structural: bool, identifiers: Identifiers) -> str:
    if is_structural and is_defined_term(text):
        return text
    if not _CODE_STRING.fullmatch(text) or _NUMBER_RUN.search(text):
        return ""
    return text if identifiers.without(text) == text else ""


def is_empty(value: Any) -> bool:
    """True for a value that writes nothing."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return not any(str(one) for one in value)
    return value in (None, "", b"")

"""What the files of one patient under one profile have in common: rules per attribute, and verdicts already given.

A series repeats most of its header in every file, so most verdicts are looked up. Nothing here outlives the process,
and every store is bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from irp_deid.encode import encode, header
from irp_deid.engine import SAYING_WHO, offset_of, says_who, stamp
from irp_deid.graphics import is_graphics
from irp_deid.judge import CODE_VALUE, Judge, Siblings
from irp_deid.keys import SiteKey
from irp_deid.profile import Action, Profile
from irp_deid.raw import BYTES, NUMBER_TEXT, OPAQUE_GROUPS, WIDTHS
from irp_deid.text import identifiers_of
from irp_deid.tokens import Odd
from irp_deid.values import Subject, reason_of

MAX_VERDICTS = 8192  # of one desk; then it begins anew
MAX_REMEMBERED_BYTES = 512  # of a value; longer ones hardly repeat
MAX_DESKS = 16  # patients, sites and profiles at a time
WITH_CHARSET = frozenset({"LO", "SH", "PN", "LT", "ST", "UT", "UC"})
NAMING = frozenset({"LO", "SH", "AE"})


class Plan(NamedTuple):
    """What is known of an attribute before its value is seen.

    Attributes:
        action: "removed", "walked", "kept" if the value is well formed, or "" if the judge must see it.
        why: the rule.
        strict: for "walked".
        width: bytes of one number, for "kept"; 1 for bulk data.
        pattern: of numbers in text, for "kept".
        in_context: the judge looks at siblings, too.
        names: "PN", or "text", if it may name the patient; "odd" if only decoding can tell; else empty.
    """

    action: str
    why: str = ""
    strict: bool = False
    width: int = 1
    pattern: re.Pattern[bytes] | None = None
    in_context: bool = False
    names: str = ""


class Fate(NamedTuple):
    """What became of a value.

    Attributes:
        action, why: as reports tell them.
        data: the new element; None if nothing stays.
    """

    action: str
    why: str
    data: bytes | None


class _Alone:
    """`judge.Siblings` of an element whose siblings do not matter."""

    def creator(self, _tag: int) -> str:
        return ""

    def marks_region(self, _tag: int) -> bool:
        return False

    def scheme(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans of a profile, made when they are first asked for."""

    profile: Profile
    judge: Judge
    known: dict[tuple[int, str], Plan] = field(default_factory=dict)

    def make(self, tag: int, vr: str) -> Plan:
        """The plan for a public attribute."""
        plan = self.known[tag, vr] = self._decide(tag, vr)
        return plan

    def _decide(self, tag: int, vr: str) -> Plan:
        names = "PN" if vr == "PN" else "text" if vr in NAMING and says_who(tag, vr, self.profile) else ""
        if vr == "UN":
            return Plan("", names="odd" if dictionary_has_tag(tag) and dictionary_VR(tag) in SAYING_WHO else "")
        first = vr.split(" or ")[0]
        if is_graphics(BaseTag(tag)) and self.profile.has("113104"):
            return Plan("", in_context=True, names=names)
        verdict = self.judge(DataElement(tag, first, [] if vr == "SQ" else None), _Alone(), strict=False)
        if verdict.action == "removed":
            return Plan("removed", verdict.why, names=names)
        if verdict.action == "walked":
            return Plan("walked", f"{verdict.why}: its items one by one", strict=verdict.strict)
        rule = self.profile.rule(tag, vr)
        why = rule.why if rule.action else f"{rule.why}: {reason_of(first)}"
        if rule.action in {None, Action.KEEP} and (
            first in WIDTHS or (first in BYTES and tag >> 16 not in OPAQUE_GROUPS)
        ):
            return Plan("kept", why, width=WIDTHS.get(first, 1) if first == vr else 1)
        if rule.action in {None, Action.KEEP} and first in NUMBER_TEXT:
            return Plan("kept", why, pattern=NUMBER_TEXT[first])
        return Plan("", in_context=tag == CODE_VALUE, names=names)


@lru_cache(maxsize=64)  # profiles in use at one time
def plans_of(profile: Profile) -> Plans:
    """The plans of a profile; they look at no value, so nobody's key matters."""
    subject = Subject(SiteKey(b""), 0, identifiers_of([]), retains_uids=profile.has("113110"))
    return Plans(profile, Judge(subject, profile))


@dataclass(slots=True)
class Desk:
    """Verdicts on values of one patient.

    Attributes:
        judge: asked about what is not yet known.
        explicit: value representations stand in the file.
        encodings: Python's names of the file's character sets.
        stamps: whole elements that the engine writes, by tag.
    """

    judge: Judge
    explicit: bool
    encodings: list[str]
    ascii_is_ascii: bool
    stamps: dict[int, bytes]
    known: dict[tuple[int, str, bool, bytes], Fate] = field(default_factory=dict)

    def fate(self, tag: int, vr: str, value: bytes, *, strict: bool) -> Fate:
        """What becomes of a value, whatever its siblings say."""
        key = (tag, vr, strict, value)
        found = self.known.get(key)
        if found is None:
            found = self.ask(tag, vr, value, _Alone(), strict=strict)
            if len(value) <= MAX_REMEMBERED_BYTES:
                if len(self.known) >= MAX_VERDICTS:
                    self.known.clear()
                self.known[key] = found
        return found

    def ask(self, tag: int, vr: str, value: bytes, siblings: Siblings, *, strict: bool) -> Fate:
        """The judge's verdict, as bytes."""
        try:
            element = self.decoded(tag, vr, value, siblings)
            verdict = self.judge(element, siblings, strict=strict)
        except Odd:
            raise
        except Exception:  # the bytes do not fit their value representation: nobody knows what they say
            return Fate("unreadable", "its bytes do not fit its value representation", None)
        if verdict.action == "walked":
            raise Odd
        if verdict.action == "removed":
            return Fate("removed", verdict.why, None)
        if verdict.value is element.value and self._may_be_copied(element.VR, value):
            data = header(tag, element.VR, len(value), explicit=self.explicit) + value
        else:
            data = encode(tag, element.VR, verdict.value, explicit=self.explicit)
        return Fate(verdict.action, verdict.why, data)

    def decoded(self, tag: int, vr: str, value: bytes, siblings: Siblings) -> DataElement:
        """The element as pydicom reads it."""
        said = vr if self.explicit else None
        raw = RawDataElement(BaseTag(tag), said, len(value), value or None, 0, not self.explicit, True)
        parent = None
        if tag >> 16 & 1:
            parent = Dataset()
            parent.add_new((tag >> 16 << 16) | (tag >> 8 & 0xFF), "LO", siblings.creator(tag))
        element = convert_raw_data_element(raw, encoding=self.encodings, ds=parent)
        if self.explicit and " or " in element.VR:
            raise Odd
        return element

    def _may_be_copied(self, vr: str, value: bytes) -> bool:
        """True for even values that are the same bytes in UTF-8."""
        if len(value) % 2:
            return False
        return vr not in WITH_CHARSET or (self.ascii_is_ascii and value.isascii() and b"\x1b" not in value)


@lru_cache(maxsize=MAX_DESKS)
def desk_of(
    key: SiteKey,
    profile: Profile,
    explicit: bool,
    charset: bytes,
    patient: str,
    naming: tuple[tuple[str, bytes], ...],
) -> Desk:
    """The desk for files that name their patient in the same words.

    Args:
        key: K_site.
        profile: the rules.
        explicit: value representations stand in the file.
        charset: Specific Character Set as it lies there.
        patient: what tells the patient from others.
        naming: "PN" or "text", and the bytes, of what names the patient.
    """
    encodings = _encodings(charset)
    texts: dict[str, set[str]] = {"PN": set(), "text": set()}
    for kind, value in naming:
        texts[kind] |= set(_texts(kind, value, encodings))
    subject = Subject(
        key,
        offset_of(key, patient, profile),
        identifiers_of(texts["text"], texts["PN"]),
        retains_uids=profile.has("113110"),
        vocabulary=profile.vocabulary,
    )
    written = Dataset()
    stamp(written, key.pseudonym(patient), profile)
    stamps = {
        int(element.tag): encode(int(element.tag), element.VR, element.value, explicit=explicit) for element in written
    }
    return Desk(
        Judge(subject, profile), explicit, encodings, b"ISO_IR 13" not in charset and b"IR 13" not in charset, stamps
    )


def _encodings(charset: bytes) -> list[str]:
    try:
        return convert_encodings(charset.decode("ascii").strip(" \x00").split("\\"))
    except (UnicodeDecodeError, LookupError):
        raise Odd from None


def _texts(kind: str, value: bytes, encodings: list[str]) -> list[str]:
    vr = "PN" if kind == "PN" else "LO"
    element = convert_raw_data_element(
        RawDataElement(BaseTag(0), vr, len(value), value, 0, False, True), encoding=encodings
    )
    values = [element.value] if element.VM <= 1 else element.value
    return [str(one) for one in values if one]

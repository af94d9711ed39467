"""What the files of one patient under one profile have in common: verdicts already given.

A series repeats most of its header in every file, so most verdicts are looked up. Nothing here outlives the process,
and every store is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from irp_deid.encode import encode, header
from irp_deid.identity import subject_of
from irp_deid.judge import Judge, Siblings
from irp_deid.keys import SiteKey
from irp_deid.plans import Alone
from irp_deid.profile import Profile
from irp_deid.stamp import stamp
from irp_deid.text import identifiers_of
from irp_deid.tokens import Odd

MAX_VERDICTS = 8192  # of one desk; then it begins anew
MAX_REMEMBERED_BYTES = 512  # of a value; longer ones hardly repeat
MAX_DESKS = 16  # patients, sites and profiles at a time
WITH_CHARSET = frozenset({"LO", "SH", "PN", "LT", "ST", "UT", "UC"})
NAMING = frozenset({"LO", "SH", "AE"})


class Fate(NamedTuple):
    """What became of a value.

    Attributes:
        action, why: as reports tell them.
        data: the new element; None if nothing stays.
    """

    action: str
    why: str
    data: bytes | None


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
            found = self.ask(tag, vr, value, Alone(), strict=strict)
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
    subject = subject_of(key, profile, patient, identifiers_of(texts["text"], texts["PN"]))
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

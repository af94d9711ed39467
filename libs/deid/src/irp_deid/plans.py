"""What is known of an attribute before its value is seen: most elements need no look at all.

A plan depends on the profile only, and comes from the judge's verdict on an empty element.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.tag import BaseTag

from irp_deid.graphics import is_graphics
from irp_deid.identity import SAYING_WHO, says_who
from irp_deid.judge import CODE_VALUE, Judge
from irp_deid.keys import SiteKey
from irp_deid.profile import Action, Profile
from irp_deid.raw import BYTES, NUMBER_TEXT, OPAQUE_GROUPS, WIDTHS
from irp_deid.text import identifiers_of
from irp_deid.values import Subject, reason_of

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


class Alone:
    """`judge.Siblings` of an element whose siblings do not matter."""

    def creator(self, _tag: int) -> str:
        """None."""
        return ""

    def marks_region(self, _tag: int) -> bool:
        """No."""
        return False

    def scheme(self) -> str:
        """None."""
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
        verdict = self.judge(DataElement(tag, first, [] if vr == "SQ" else None), Alone(), strict=False)
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

"""The verdict on one element: what stays in its place, and why. It looks at nothing but the element and its siblings.

Whoever walks (over a dataset, or over bytes) asks here; so there is one set of rules. Source: PS3.15 Annex E.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement

from irp_deid.codes import is_code_of
from irp_deid.graphics import is_graphics
from irp_deid.keys import normal_id
from irp_deid.profile import Action, Profile
from irp_deid.safe_private import is_safe_private
from irp_deid.values import (
    TEXT,
    Subject,
    by_default,
    cleaned,
    dummy_of,
    empty_of,
    is_empty,
    mapped,
    reason_of,
    well_formed,
)

PATIENT_ID, CODE_VALUE = 0x00100020, 0x00080100
FIRST_DATA_GROUP = 0x0008
NO_ATTRIBUTE = "group length, or no attribute of a dataset"
UNNAMED = "not in Table E.1-1"
CREATOR = "private creator, written anew for what stays"
NOT_CHOSEN = "private, option 113111 was not chosen"
NOT_SAFE = "private, not on the safe list"


class Siblings(Protocol):
    """What an element's siblings say about it."""

    def creator(self, tag: int) -> str:
        """The private creator of a private element; empty without one."""
        ...

    def marks_region(self, tag: int) -> bool:
        """True for an element of an overlay that marks a region."""
        ...

    def scheme(self) -> str:
        """Coding Scheme Designator of a code; empty elsewhere."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an element.

    Attributes:
        action: kept, cleaned, replaced, emptied, removed; or "walked" for a sequence whose items decide.
        why: the rule that decided.
        value: the value that stays; None with "removed" and "walked".
        strict: items of a walked sequence keep no text at all.
    """

    action: str
    why: str
    value: Any = None
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Judge:
    """The rules of one profile for one file's patient."""

    subject: Subject
    profile: Profile

    def __call__(self, element: DataElement, siblings: Siblings, *, strict: bool) -> Verdict:
        """Decide.

        Raises:
            Exception: whatever pydicom raises for bytes that do not fit their value representation.
        """
        tag = int(element.tag)
        if tag & 0xFFFF == 0 or tag >> 16 < FIRST_DATA_GROUP:
            return Verdict("removed", NO_ATTRIBUTE)
        if tag >> 16 & 1:
            return self._private(element, siblings)
        if tag == PATIENT_ID:
            own = normal_id(str(element.value or ""))
            return Verdict("replaced", "pseudonym", self.subject.key.pseudonym(own) if own else None)
        if is_graphics(element.tag):
            return self._graphics(element, siblings)
        if not dictionary_has_tag(tag) or element.VR == "UN":
            return Verdict("removed", "not in the dictionary")
        if tag == CODE_VALUE and self._is_known_code(str(element.value or ""), siblings):
            return Verdict("kept", f"{UNNAMED}: code of a known coding scheme", element.value)
        return self._public(element, strict=strict)

    def _public(self, element: DataElement, *, strict: bool) -> Verdict:
        rule = self.profile.rule(int(element.tag), element.VR)
        if rule.action is Action.KEEP and element.VR != "SQ":
            return self._cleaned(element, rule.why, well_formed)
        if rule.action is Action.REMOVE:
            return Verdict("removed", rule.why)
        if rule.action is Action.EMPTY:
            return Verdict("emptied", rule.why, empty_of(element))
        if element.VR == "SQ":
            return Verdict("walked", rule.why, strict=strict or rule.action is Action.DUMMY)
        if rule.action is Action.UID:
            return _changed("replaced", rule.why, element, mapped(element, self.subject))
        if rule.action is Action.DUMMY or (strict and element.VR in TEXT):
            why = rule.why if rule.action is Action.DUMMY else "inside a sequence of which only dummies stay"
            return Verdict("replaced", why, dummy_of(element, self.subject))
        if rule.action is Action.CLEAN:
            return self._cleaned(element, rule.why, cleaned)
        return self._cleaned(element, f"{UNNAMED}: {reason_of(element.VR)}", by_default)

    def _cleaned(self, element: DataElement, why: str, change: Callable[[DataElement, Subject], Any]) -> Verdict:
        value = change(element, self.subject)
        if is_empty(value) and not element.is_empty:
            return Verdict("emptied", why, empty_of(element))
        return _changed("cleaned", why, element, value)

    def _graphics(self, element: DataElement, siblings: Siblings) -> Verdict:
        """Of overlays that mark a region, all but words; of others nothing, for no program can read what they draw."""
        wanted = self.profile.positive_list
        if wanted is not None and not wanted.allows(int(element.tag)):
            return Verdict("removed", self.profile.not_listed)
        if not self.profile.has("113104"):
            return Verdict("removed", "overlay or curve, option 113104 was not chosen")
        if not siblings.marks_region(int(element.tag)):
            return Verdict("removed", "overlay or curve that is no region")
        why = "option 113104: overlay that marks a region"
        if element.VR in TEXT:
            return _changed("cleaned", why, element, cleaned(element, self.subject))
        return Verdict("kept", why, element.value)

    def _private(self, element: DataElement, siblings: Siblings) -> Verdict:
        tag = int(element.tag)
        if element.tag.is_private_creator:
            return Verdict("removed", CREATOR)
        if not self.profile.has("113111"):
            return Verdict("removed", NOT_CHOSEN)
        creator = siblings.creator(tag)
        if not is_safe_private(creator, element):
            return Verdict("removed", NOT_SAFE)
        wanted = self.profile.positive_list
        if wanted is not None and not wanted.allows_private(creator, tag):
            return Verdict("removed", self.profile.not_listed)
        return Verdict("kept", "option 113111: on the safe list", element.value)

    def _is_known_code(self, value: str, siblings: Siblings) -> bool:
        """Code values look like identifiers; those of public schemes are none, unless the file says so elsewhere."""
        if not is_code_of(siblings.scheme(), value):
            return False
        return not self.subject.identifiers.name(value)


def _changed(action: str, why: str, element: DataElement, value: Any) -> Verdict:
    """A value that came out as it went in was kept."""
    if value == element.value:
        return Verdict("kept", why, element.value)
    return Verdict(action, why, value)

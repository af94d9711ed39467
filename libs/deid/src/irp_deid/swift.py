"""The walk over bytes: what stays is copied as it lies, and only what a rule looks at is decoded.

Verdicts come from the same judge as everywhere; `desk` remembers them. What is laid out oddly, or in a rare way (big
endian, deflated), raises `Odd`: the walk over datasets takes it. Source: PS3.10 section 7, PS3.5 section 7.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydicom.datadict import private_dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from irp_deid.desk import Desk, Fate, desk_of
from irp_deid.encode import encode, encode_sequence
from irp_deid.graphics import OVERLAY_TYPE, OVERLAYS, REGION
from irp_deid.identity import patient_of
from irp_deid.judge import CREATOR, FIRST_DATA_GROUP, NO_ATTRIBUTE, NOT_CHOSEN, NOT_SAFE
from irp_deid.keys import SiteKey
from irp_deid.plans import Plan, Plans, plans_of
from irp_deid.profile import Profile
from irp_deid.report import Tally
from irp_deid.safe_private import is_safe_place
from irp_deid.tokens import CHARACTER_SET, Odd, Token

CODING_SCHEME = 0x00080102
Piece = bytes | memoryview


def clean(
    dataset: Dataset, tokens: list[Token], data: bytes, key: SiteKey, profile: Profile, tally: Tally, *, explicit: bool
) -> dict[int, Piece]:
    """The elements that stay, as bytes, by tag.

    Raises:
        Odd: another reader must look at it.
        CannotDeidentify: a value cannot be written.
    """
    plans = plans_of(profile)
    charset = next((data[t.value : t.end] for t in tokens if t.tag == CHARACTER_SET), b"")
    naming = tuple(_naming(tokens, data, plans, charset))
    desk = desk_of(key, profile, explicit, charset, patient_of(dataset), naming)
    walk = _Walk(data, memoryview(data), desk, plans, plans.known, tally, profile.has("113111"))
    kept = walk.level(tokens, "", strict=False)
    kept.update(desk.stamps)
    tally.stamped(desk.stamps)
    return kept


def _naming(tokens: list[Token], data: bytes, plans: Plans, charset: bytes) -> Iterator[tuple[str, bytes]]:
    """Everything at any depth that names the patient."""
    known = plans.known
    for tag, vr, _start, value, end, items in tokens:
        if tag == CHARACTER_SET and data[value:end] != charset:
            raise Odd  # an item with a character set of its own
        if items is not None:
            for item in items:
                yield from _naming(item, data, plans, charset)
            continue
        if tag & 0x10000:
            if vr == "UN":
                vr = _private_vr(tag, tokens, data)
            if vr == "PN" and end > value:
                yield "PN", data[value:end]
            continue
        names = (known.get((tag, vr)) or plans.make(tag, vr)).names
        if names and end > value:
            if names == "odd":
                raise Odd
            yield names, data[value:end]


def _private_vr(tag: int, tokens: list[Token], data: bytes) -> str:
    """What pydicom's private dictionary says of an element that the file does not describe."""
    try:
        return private_dictionary_VR(BaseTag(tag), _creator(tag, tokens, data))
    except KeyError:
        return "UN"


def _creator(tag: int, tokens: list[Token], data: bytes) -> str:
    place = (tag >> 16 << 16) | (tag >> 8 & 0xFF)
    found = next((data[t.value : t.end] for t in tokens if t.tag == place), b"")
    return found.decode("ascii", "replace").strip(" \x00")


@dataclass(frozen=True, slots=True)
class _Siblings:
    """`judge.Siblings` of tokens."""

    tokens: list[Token]
    data: bytes

    def creator(self, tag: int) -> str:
        return _creator(tag, self.tokens, self.data)

    def marks_region(self, tag: int) -> bool:
        return tag >> 16 >= OVERLAYS and self._text((tag >> 16 << 16) | OVERLAY_TYPE) == REGION

    def scheme(self) -> str:
        return self._text(CODING_SCHEME)

    def _text(self, tag: int) -> str:
        found = next((self.data[t.value : t.end] for t in self.tokens if t.tag == tag), b"")
        return found.decode("ascii", "replace").strip(" \x00")


@dataclass(frozen=True, slots=True)
class _Walk:
    data: bytes
    view: memoryview
    desk: Desk
    plans: Plans
    known: dict[tuple[int, str], Plan]
    tally: Tally
    keeps_private: bool

    def level(self, tokens: list[Token], path: str, *, strict: bool) -> dict[int, Piece]:
        """What stays of one dataset, by tag."""
        kept: dict[int, Piece] = {}
        count, data, known = self.tally.count, self.data, self.known
        for token in tokens:
            tag, vr, start, value, end, items = token
            here = f"{path}{tag:08X}"
            if tag & 0x10000:
                self._private(token, tokens, kept, here)
                continue
            plan = known.get((tag, vr)) or self.plans.make(tag, vr)
            action = plan.action
            if action == "removed":
                count("removed", here, plan.why)
            elif action == "kept" and self._is_well_formed(plan, value, end):
                count("kept", here, plan.why)
                kept[tag] = self.view[start:end]
            elif action == "walked" and items is not None:
                kept[tag] = self._sequence(tag, items, here, strict=strict or plan.strict)
                count("cleaned", here, plan.why)
            elif items is not None:
                self._keep(kept, tag, here, self.desk.fate(tag, vr, b"", strict=strict))
            elif plan.in_context:
                fate = self.desk.ask(tag, vr, data[value:end], _Siblings(tokens, data), strict=strict)
                self._keep(kept, tag, here, fate)
            else:
                self._keep(kept, tag, here, self.desk.fate(tag, vr, data[value:end], strict=strict))
        return kept

    def _is_well_formed(self, plan: Plan, value: int, end: int) -> bool:
        if plan.pattern is not None:
            return plan.pattern.fullmatch(self.data, value, end) is not None
        return (end - value) % plan.width == 0

    def _keep(self, kept: dict[int, Piece], tag: int, path: str, fate: Fate) -> None:
        self.tally.count(fate.action, path, fate.why)
        if fate.data is not None:
            kept[tag] = fate.data

    def _sequence(self, tag: int, items: Iterable[list[Token]], path: str, *, strict: bool) -> bytes:
        inner = [self.level(item, f"{path}[{index}].", strict=strict) for index, item in enumerate(items)]
        return encode_sequence(tag, [joined(level) for level in inner], explicit=self.desk.explicit)

    def _private(self, token: Token, tokens: list[Token], kept: dict[int, Piece], path: str) -> None:
        """A kept private element needs its creator, a name from our own list."""
        tag = token.tag
        if tag & 0xFFFF == 0 or tag >> 16 < FIRST_DATA_GROUP:
            self.tally.count("removed", path, NO_ATTRIBUTE)
        elif 0x10 <= tag & 0xFFFF <= 0xFF:
            self.tally.count("removed", path, CREATOR)
        elif not self.keeps_private:
            self.tally.count("removed", path, NOT_CHOSEN)
        elif token.items is not None or not is_safe_place(creator := _creator(tag, tokens, self.data), tag):
            self.tally.count("removed", path, NOT_SAFE)
        else:
            siblings = _Siblings(tokens, self.data)
            fate = self.desk.ask(tag, token.vr, self.data[token.value : token.end], siblings, strict=False)
            self._keep(kept, tag, path, fate)
            if fate.data is not None:
                place = (tag >> 16 << 16) | (tag >> 8 & 0xFF)
                kept[place] = encode(place, "LO", creator, explicit=self.desk.explicit)


def joined(kept: dict[int, Piece]) -> bytes:
    """The elements in the order of their tags."""
    return b"".join([kept[tag] for tag in sorted(kept)])

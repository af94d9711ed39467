"""Where each element lies in the bytes of a little-endian dataset: tags, value representations, offsets; no values.

It is strict: whatever a tolerant reader would have to guess at raises `Odd`, and the caller takes the slow way.
Source: PS3.5 section 7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from pydicom.datadict import dictionary_has_tag, dictionary_VR

MAX_DEPTH = 16  # of sequences; beyond: Odd
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
CHARACTER_SET, PIXEL_DATA = 0x00080005, 0x7FE00010
_TEXTS = ["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UI"]
SHORT_VRS = frozenset([*_TEXTS, "AT", "FD", "FL", "SL", "SS", "UL", "US"])
LONG_VRS = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"])
_VRS = {vr.encode(): (vr, vr in LONG_VRS) for vr in SHORT_VRS | LONG_VRS}
_EXPLICIT, _IMPLICIT, _LONG = Struct("<HH2sH"), Struct("<HHL"), Struct("<L")


class Odd(Exception):
    """The bytes are not laid out as the standard says, or in a rare way: another reader must look at them."""


class Token(NamedTuple):
    """One element.

    Attributes:
        tag: group and element.
        vr: value representation; of implicit files the dictionary's ("US or SS" as it stands there), "UN" if unknown.
        start, value, end: offsets of the element, of its value, and of what follows.
        items: of a sequence, the tokens of each item; else None.
    """

    tag: int
    vr: str
    start: int
    value: int
    end: int
    items: tuple[list[Token], ...] | None


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a dataset.

    Attributes:
        data: the whole file.
        explicit: value representations stand in the file.
    """

    data: bytes
    explicit: bool

    def dataset(self, position: int) -> list[Token]:
        """Everything from here to the end of the file.

        Raises:
            Odd: see the module.
        """
        tokens, end = self._level(position, len(self.data), 0, open_ended=False)
        if end != len(self.data):
            raise Odd
        return tokens

    def _level(self, position: int, end: int, depth: int, *, open_ended: bool) -> tuple[list[Token], int]:
        """Elements up to the end, or up to an item's delimiter; and where the next thing begins."""
        read: Callable[[int, int], tuple[int, str, int, int]] = self.read_explicit if self.explicit else self._implicit
        tokens: list[Token] = []
        last = -1
        while position < end:
            if end - position < 8:
                raise Odd
            tag, vr, value, length = read(position, end)
            if tag == ITEM_END and open_ended:
                return tokens, value
            if tag <= last or tag >= ITEM:
                raise Odd
            last = tag
            items = None
            if vr == "SQ":
                items, after = self._items(value, end if length == UNDEFINED else value + length, depth, length)
            elif length == UNDEFINED:
                after = self._fragments(value, end, tag)
            else:
                after = value + length
            if after > end:
                raise Odd
            tokens.append(Token(tag, vr, position, value, after, items))
            position = after
        if open_ended:
            raise Odd
        return tokens, position

    def read_explicit(self, position: int, end: int) -> tuple[int, str, int, int]:
        """Tag, value representation, offset of the value and its length, of the element at this position."""
        group, element, code, length = _EXPLICIT.unpack_from(self.data, position)
        known = _VRS.get(code)
        if known is None:
            if group == 0xFFFE:
                return group << 16 | element, "", position + 8, 0
            raise Odd
        vr, is_long = known
        if not is_long:
            return group << 16 | element, vr, position + 8, length
        if end - position < 12:
            raise Odd
        return group << 16 | element, vr, position + 12, _LONG.unpack_from(self.data, position + 8)[0]

    def _implicit(self, position: int, _end: int) -> tuple[int, str, int, int]:
        group, element, length = _IMPLICIT.unpack_from(self.data, position)
        tag = group << 16 | element
        return tag, dictionary_VR(tag) if dictionary_has_tag(tag) else "UN", position + 8, length

    def _items(self, position: int, end: int, depth: int, length: int) -> tuple[tuple[list[Token], ...], int]:
        if depth >= MAX_DEPTH or end > len(self.data):
            raise Odd
        items: list[list[Token]] = []
        while position < end:
            tag, size, position = self._item(position, end)
            if tag == SEQUENCE_END and length == UNDEFINED:
                return tuple(items), position
            if tag != ITEM:
                raise Odd
            stop = end if size == UNDEFINED else position + size
            if stop > end:
                raise Odd
            tokens, position = self._level(position, stop, depth + 1, open_ended=size == UNDEFINED)
            items.append(tokens)
        if length == UNDEFINED:
            raise Odd
        return tuple(items), position

    def _fragments(self, position: int, end: int, tag: int) -> int:
        """Where encapsulated pixel data ends. Source: PS3.5 A.4."""
        if tag != PIXEL_DATA:
            raise Odd
        while True:
            fragment, size, position = self._item(position, end)
            if fragment == SEQUENCE_END:
                return position
            if fragment != ITEM or size == UNDEFINED:
                raise Odd
            position += size

    def _item(self, position: int, end: int) -> tuple[int, int, int]:
        if end - position < 8:
            raise Odd
        group, element, size = _IMPLICIT.unpack_from(self.data, position)
        return group << 16 | element, size, position + 8


def file_meta(data: bytes, position: int) -> tuple[dict[int, bytes], int]:
    """Values of the file meta information by tag, and where the dataset begins.

    Raises:
        Odd: see the module.
    """
    reader, found = Tokens(data, explicit=True), {}
    while position + 8 <= len(data) and data[position : position + 2] == b"\x02\x00":
        tag, _, value, length = reader.read_explicit(position, len(data))
        if value + length > len(data):
            raise Odd
        found[tag], position = data[value : value + length], value + length
    return found, position

"""Elements to little-endian bytes: text by hand, everything else by pydicom. Source: PS3.5 sections 6.2 and 7.1."""

from __future__ import annotations

from struct import Struct
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.multival import MultiValue

from irp_deid.errors import CannotDeidentify
from irp_deid.tokens import LONG_VRS

WRITTEN_AS_TEXT = frozenset(["AE", "AS", "CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM", "UI"])
MAX_SHORT = 0xFFFE  # bytes of a value whose length has two bytes
_EXPLICIT, _LONG, _IMPLICIT = Struct("<HH2sH"), Struct("<HH2sHL"), Struct("<HHL")


def header(tag: int, vr: str, length: int, *, explicit: bool) -> bytes:
    """What stands before a value."""
    if not explicit:
        return _IMPLICIT.pack(tag >> 16, tag & 0xFFFF, length)
    if vr in LONG_VRS:
        return _LONG.pack(tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)
    return _EXPLICIT.pack(tag >> 16, tag & 0xFFFF, vr.encode(), length)


def encode(tag: int, vr: str, value: Any, *, explicit: bool) -> bytes:
    """A whole element; text is UTF-8.

    Raises:
        CannotDeidentify: a value that cannot be written.
    """
    if value is None or value in ("", b"", []):
        return header(tag, vr, 0, explicit=explicit)
    if vr in WRITTEN_AS_TEXT:
        text = "\\".join(map(str, value)) if isinstance(value, MultiValue | list | tuple) else str(value)
        encoded = text.encode("utf-8")
        if len(encoded) % 2:
            encoded += b"\x00" if vr == "UI" else b" "
        if len(encoded) <= MAX_SHORT:
            return header(tag, vr, len(encoded), explicit=explicit) + encoded
    try:
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, not explicit
        write_data_element(buffer, DataElement(tag, vr, value), ["utf8"])
    except Exception:  # pydicom raises what it likes, with values in its texts
        raise CannotDeidentify from None
    return buffer.getvalue()


def encode_sequence(tag: int, items: list[bytes], *, explicit: bool) -> bytes:
    """A sequence of defined length from the bytes of its items."""
    content = b"".join(part for item in items for part in (_IMPLICIT.pack(0xFFFE, 0xE000, len(item)), item))
    return header(tag, "SQ", len(content), explicit=explicit) + content

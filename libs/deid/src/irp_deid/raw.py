"""Elements as they lie in the file: what certainly stays need not be decoded and encoded again."""

from __future__ import annotations

import re

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement

WIDTHS = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "UV": 8, "SV": 8, "AT": 4}
BYTES = frozenset({"OB", "OW", "OF", "OD", "OL", "OV"})
# Groups whose binary values are no image: keys, signatures, encrypted originals, documents. They are emptied.
OPAQUE_GROUPS = frozenset({0x0008, 0x0040, 0x0068, 0x0400})
_NUMBER = {
    "DS": rb" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \x00]*",
    "IS": rb" *[+-]?\d+[ \x00]*",
}
NUMBER_TEXT = {vr: re.compile(rb"%b(\\%b)*" % (one, one)) for vr, one in _NUMBER.items()}


def vr_of(element: DataElement | RawDataElement) -> str:
    """The value representation that an element will have once it is decoded; empty where decoding must say."""
    if element.VR:
        return str(element.VR)
    if not dictionary_has_tag(element.tag):
        return ""
    known = dictionary_VR(element.tag)
    return known if " or " not in known else ""


def is_plain_number_or_bytes(element: DataElement | RawDataElement, vr: str) -> bool:
    """True for an undecoded value of which nothing but numbers or bulk bytes can come out."""
    if not isinstance(element, RawDataElement) or element.value is None:
        return False
    if vr in WIDTHS:
        return len(element.value) % WIDTHS[vr] == 0
    if vr in NUMBER_TEXT:
        return NUMBER_TEXT[vr].fullmatch(element.value) is not None
    return vr in BYTES and element.tag.group not in OPAQUE_GROUPS

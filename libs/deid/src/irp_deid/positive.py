"""Positive lists: what a project wants at all. Everything else goes, whatever the profile would have kept.

A list only takes away: an attribute that it names still gets the action of the profile. Items of a listed sequence
are filtered by the same list. What makes a valid image of the right patient stays without being listed (`NEEDED`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydicom.datadict import tag_for_keyword

from irp_deid.errors import PositiveListNotValid

MAX_ATTRIBUTES = 4096  # of one list
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_KEYWORD = re.compile(r"[A-Z][A-Za-z0-9]{0,63}")
_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
_GROUP = re.compile(r"(50|60)[xX]{2}")
_ELEMENT = re.compile(r"\(?([0-9A-Fa-f]{4}),?[xX]{2}([0-9A-Fa-f]{2})\)?")
_CREATOR = re.compile(r"[ -\[\]-~]{1,64}")  # printable, no backslash
NEEDED = frozenset(
    filter(
        None,
        map(
            tag_for_keyword,
            (
                # which object it is, whose, and that it was de-identified
                *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"),
                *("Modality", "ImageType", "PatientID", "PatientName", "InstanceNumber"),
                *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
                *("LongitudinalTemporalInformationModified", "BurnedInAnnotation"),
                # how to read the pixels: PS3.3 C.7.6.3 and C.7.6.6
                *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
                *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
                *("PixelData", "FloatPixelData", "DoubleFloatPixelData", "PixelPaddingValue"),
                *("RescaleIntercept", "RescaleSlope", "RescaleType", "LossyImageCompression"),
                *("RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData"),
                *("GreenPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableData"),
                *("BluePaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableData"),
                # where the image lies: PS3.3 C.7.6.2 and C.7.6.16
                *("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
                *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "PixelMeasuresSequence"),
                *("PlanePositionSequence", "PlaneOrientationSequence", "PixelValueTransformationSequence"),
            ),
        ),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PositiveList:
    """The attributes that a project wants.

    Attributes:
        name, version: what people call it; versions count up.
        tags: public attributes.
        groups: 0x50 or 0x60, for every curve or overlay group.
        private: (creator, group, last byte of the element).
    """

    name: str
    version: int
    tags: frozenset[int]
    groups: frozenset[int] = frozenset()
    private: frozenset[tuple[str, int, int]] = frozenset()

    @classmethod
    def of(cls, document: Any) -> PositiveList:
        """From `{name, version, attributes}`.

        An attribute is a keyword, a tag ("0018,0081"), "60xx", or a mapping of `creator` and `element` ("0019,xx0C").

        Raises:
            PositiveListNotValid: says the place that is wrong, never what stands there.
        """
        if not isinstance(document, Mapping) or set(document) != {"name", "version", "attributes"}:
            raise _wrong("list", "has exactly the keys name, version, attributes")
        name, version, attributes = document["name"], document["version"], document["attributes"]
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _wrong("name", "1 to 63 lower-case letters, digits, hyphens, underscores, a letter first")
        if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version < 1 << 31:
            raise _wrong("version", "a whole number from 1")
        if not isinstance(attributes, list | tuple) or not 1 <= len(attributes) <= MAX_ATTRIBUTES:
            raise _wrong("attributes", f"a list of 1 to {MAX_ATTRIBUTES} attributes")
        found = [_entry(entry, f"attributes.{index}") for index, entry in enumerate(attributes)]
        return cls(
            name=name,
            version=version,
            tags=frozenset(one for one in found if isinstance(one, int) and one > 0xFF),
            groups=frozenset(one for one in found if isinstance(one, int) and one <= 0xFF),
            private=frozenset(one for one in found if not isinstance(one, int)),
        )

    def allows(self, tag: int) -> bool:
        """True for a public attribute that is listed or needed."""
        return tag in self.tags or tag in NEEDED or (tag >> 24) in self.groups

    def allows_private(self, creator: str, tag: int) -> bool:
        """True for a listed private attribute."""
        return (creator.strip(), tag >> 16, tag & 0xFF) in self.private

    @property
    def digest(self) -> str:
        """SHA-256 of what is listed, in hexadecimal: two lists with one digest do the same."""
        plain = [sorted(self.tags), sorted(self.groups), sorted(map(list, self.private))]
        return hashlib.sha256(json.dumps(plain, separators=(",", ":")).encode()).hexdigest()

    def __str__(self) -> str:
        """Name, version and digest, as a report tells them."""
        return f"{self.name} {self.version} {self.digest}"


def _entry(entry: Any, place: str) -> int | tuple[str, int, int]:
    if isinstance(entry, Mapping):
        return _private_entry(entry, place)
    if not isinstance(entry, str):
        raise _wrong(place, "a keyword, or a tag in quotes (a bare number lost its zeros)")
    if match := _TAG.fullmatch(entry):
        return _public(int(match[1] + match[2], 16), place)
    if _GROUP.fullmatch(entry):
        return int(entry[:2], 16)
    tag = tag_for_keyword(entry) if _KEYWORD.fullmatch(entry) else None
    if tag is None:
        raise _wrong(place, "no keyword of the dictionary, no tag, no group")
    return _public(tag, place)


def _public(tag: int, place: str) -> int:
    if (tag >> 16) % 2 or tag >> 16 < 0x0008:
        raise _wrong(place, "not a public attribute of a dataset; name private ones by creator and element")
    return tag


def _private_entry(entry: Mapping[Any, Any], place: str) -> tuple[str, int, int]:
    creator, element = entry.get("creator"), entry.get("element")
    if set(entry) != {"creator", "element"} or not isinstance(creator, str) or not _CREATOR.fullmatch(creator):
        raise _wrong(place, "a private attribute has the keys creator and element")
    match = _ELEMENT.fullmatch(element) if isinstance(element, str) else None
    if match is None or int(match[1], 16) % 2 == 0:
        raise _wrong(f"{place}.element", 'an odd group and two digits, like "0019,xx0C"')
    return creator.strip(), int(match[1], 16), int(match[2], 16)


def _wrong(place: str, advice: str) -> PositiveListNotValid:
    return PositiveListNotValid(f"{place}: {advice}")

"""How the canonical structures are coded in DICOM.

SNOMED CT codes as DICOM uses them (PS3.16 CID 7151, 7153); no-reflow has none there and gets a private code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """Coding scheme designator, code value, code meaning. Source: PS3.3 section 8."""

    scheme: str
    value: str
    meaning: str

    def same(self, other: Code) -> bool:
        """True if both mean the same; meanings are only for reading."""
        return (self.scheme, self.value) == (other.scheme, other.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCode:
    """Category and type of a segment, the region it lies in, and its colour (CIELab: L 0 to 100, a, b)."""

    category: Code
    type: Code
    region: Code | None = None
    lab: tuple[float, float, float] = (60.0, 0.0, 0.0)

    def means(self, code: Code) -> bool:
        """True if the code alone says which structure this is."""
        return self.type.value != BLOOD.value and self.type.same(code)

    def matches(self, type_: Code, region: Code | None) -> bool:
        """True if a segment of this type and region is this structure."""
        if not self.type.same(type_):
            return False
        return self.region is None or (region is not None and self.region.same(region))


BLOOD = Code("SCT", "87612001", "Blood")
_SUBSTANCE = Code("SCT", "91720002", "Body Substance")
_ANATOMY = Code("SCT", "91723000", "Anatomical Structure")
_ALTERED = Code("SCT", "49755003", "Morphologically Altered Structure")
_LEFT, _RIGHT = Code("SCT", "87878005", "Left ventricle"), Code("SCT", "53085002", "Right ventricle")
_MYOCARDIUM = Code("SCT", "49848007", "Left Ventricle Myocardium")

CODES: Mapping[str, SegmentCode] = {
    "lv_blood_pool": SegmentCode(category=_SUBSTANCE, type=BLOOD, region=_LEFT, lab=(53.2, 80.1, 67.2)),
    "lv_myocardium": SegmentCode(category=_ANATOMY, type=_MYOCARDIUM, lab=(87.7, -86.2, 83.2)),
    "rv_blood_pool": SegmentCode(category=_SUBSTANCE, type=BLOOD, region=_RIGHT, lab=(55.0, 10.0, -60.0)),
    "scar": SegmentCode(
        category=_ALTERED, type=Code("SCT", "12402003", "Scar"), region=_MYOCARDIUM, lab=(97.1, -21.6, 94.5)
    ),
    "no_reflow": SegmentCode(
        category=_ALTERED, type=Code("99OPENIRP", "no_reflow", "No-reflow"), region=_MYOCARDIUM, lab=(60.3, 98.2, -60.8)
    ),
}

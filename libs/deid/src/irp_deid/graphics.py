"""Overlays and curves: bitmaps and lines that may spell a name. Source: PS3.15 E.3.3, PS3.3 C.9.2."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

CURVES, OVERLAYS, REPEATS = 0x5000, 0x6000, 0x20  # groups 50xx and 60xx: even numbers below xx20
OVERLAY_TYPE, REGION = 0x0040, "R"


def is_graphics(tag: BaseTag) -> bool:
    """True for every element of an overlay or curve group."""
    return any(first <= tag.group < first + REPEATS for first in (CURVES, OVERLAYS))


def marks_region(tag: BaseTag, parent: Dataset) -> bool:
    """True for an element of an overlay that marks a region; drawings and curves cannot be proven clean."""
    kind = parent.get(Tag(tag.group, OVERLAY_TYPE))
    return tag.group >= OVERLAYS and kind is not None and kind.value == REGION

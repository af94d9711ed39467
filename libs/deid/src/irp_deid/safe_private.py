"""Private attributes that are known to hold numbers of the acquisition only: PS3.15 Table E.3.10-1, a small part."""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources

from pydicom.dataelem import DataElement


@cache
def _safe() -> dict[tuple[str, int, int], frozenset[str]]:
    text = resources.files("irp_deid").joinpath("data/safe_private.tsv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return {
        (row["creator"], int(row["group"], 16), int(row["element"], 16)): frozenset(row["vr"].split("/"))
        for row in rows
    }


def is_safe_private(creator: str, element: DataElement) -> bool:
    """True if the list names this element of this creator and its value representation is the listed, numeric one."""
    allowed = _safe().get((creator.strip(), element.tag.group, element.tag.element & 0xFF))
    return allowed is not None and element.VR in allowed


def is_safe_place(creator: str, tag: int) -> bool:
    """True if the list names this element of this creator, whatever its value representation."""
    return (creator.strip(), tag >> 16, tag & 0xFF) in _safe()


def is_safe_creator(creator: str) -> bool:
    """True if the list names elements of this creator."""
    return any(listed == creator.strip() for listed, _, _ in _safe())

"""QIDO-RS matching on DICOM JSON. Source: PS3.18 section 8.3.4, PS3.4 C.2.2.2."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any

from pydicom.datadict import tag_for_keyword

STUDY = ("00080020", "00080030", "00080050", "00080061", "00080090", "00100010", "00100020", "00100030", "00100040",
         "0020000D", "00200010", "00201206", "00201208", "00081030")  # fmt: skip
SERIES = (*STUDY, "00080060", "0008103E", "0020000E", "00200011", "00201209")
INSTANCE = (*SERIES, "00080016", "00080018", "00200013", "00280008", "00280010", "00280011", "00280100")
RETURNED: Mapping[str, tuple[str, ...]] = {"study": STUDY, "series": SERIES, "instance": INSTANCE}


def tag_of(name: str) -> str | None:
    """An attribute's tag (8 hexadecimal digits) from keyword or tag; None if there is none."""
    name = name.split(".")[-1]
    if len(name) == 8 and all(c in "0123456789abcdefABCDEF" for c in name):
        return name.upper()
    tag = tag_for_keyword(name)
    return f"{tag:08X}" if tag is not None else None


def uids_of(wanted: str) -> list[str]:
    """A UID list, separated by commas or backslashes."""
    return [uid for uid in wanted.replace("\\", ",").split(",") if uid not in {"", "*"}]


def matches(header: Mapping[str, Any], tag: str, wanted: str, *, fuzzy: bool = False) -> bool:
    """True if a DICOM JSON object matches one key; an empty key matches everything, `fuzzy` matches parts of names."""
    if wanted in {"", "*"}:
        return True
    element = header.get(tag) or {}
    values = [_text(value) for value in element.get("Value", [])]
    vr = element.get("vr", "")
    if vr in {"DA", "TM", "DT"} and "-" in wanted:
        low, _, high = wanted.partition("-")
        return any((not low or value >= low) and (not high or value[: len(high)] <= high) for value in values)
    if vr == "UI" or tag in {"0020000D", "0020000E", "00080018"}:
        return any(value in uids_of(wanted) for value in values)
    if vr == "PN":
        values, wanted = [value.lower() for value in values], wanted.lower()
        wanted = f"*{wanted}*" if fuzzy else wanted
    if "*" in wanted or "?" in wanted:
        pattern = wanted.replace("[", "[[]")
        return any(fnmatch.fnmatchcase(value, pattern) for value in values)
    return wanted in values


def answer(header: Mapping[str, Any], level: str, include: list[str], computed: Mapping[str, Any]) -> dict[str, Any]:
    """What a match answers: the level's attributes, those asked for, and computed ones."""
    wanted = set(RETURNED[level]) | {tag for name in include if (tag := tag_of(name))}
    if "all" in include:
        wanted |= set(header)
    found = {tag: header[tag] for tag in sorted(wanted) if tag in header}
    return {**found, **computed}


def _text(value: Any) -> str:
    return str(value.get("Alphabetic", "")) if isinstance(value, Mapping) else str(value)

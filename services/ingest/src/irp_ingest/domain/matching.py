"""QIDO-RS matching on DICOM JSON. Source: PS3.18 section 8.3.4, PS3.4 C.2.2.2."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from irp_kernel.errors import InvalidArgument

from irp_ingest.domain.attributes import path_of

# Tag -> value wanted, or the keys of an item of that sequence.
Keys: TypeAlias = "dict[str, str | Keys]"

MAX_ALTERNATIVES = 64  # of one key; lists of UIDs may be longer
EMPTY = '""'  # what asks for no value, where empty values are matched
UIDS = frozenset({"0020000D", "0020000E", "00080018", "00080016"})
MODALITIES = frozenset({"00080060", "00080061"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How values are compared beyond PS3.4 C.2.2.2.

    Attributes:
        fuzzy: match parts of person names.
        empty: `""` matches what is absent or has no value (PS3.18 section 8.3.4.5).
        several: values between backslashes are alternatives (PS3.18 section 8.3.4.6).
    """

    fuzzy: bool = False
    empty: bool = False
    several: bool = False


def keys_of(wanted: Mapping[str, str]) -> tuple[Keys, list[str]]:
    """Keys by tag, and the names that are no attributes; a key that matches everything is none."""
    keys: Keys = {}
    unknown = []
    for name, value in wanted.items():
        path = path_of(name)
        if path is None:
            unknown.append(name)
        elif not is_universal(value):
            _put(keys, path, value)
    return keys, unknown


def _put(keys: Keys, path: tuple[str, ...], value: str) -> None:
    for tag in path[:-1]:
        inner = keys.setdefault(tag, {})
        keys = inner if isinstance(inner, dict) else {}
    keys[path[-1]] = value


def is_universal(wanted: str) -> bool:
    """True if a value matches everything. Source: PS3.4 C.2.2.2.3."""
    return wanted.strip("*") == ""


def alternatives(tag: str, wanted: str, rules: Rules) -> list[str]:
    """Values of which any may match: lists of UIDs, of modalities (frontends send them), of others where asked for.

    Raises:
        InvalidArgument: they are too many.
    """
    if tag in UIDS | MODALITIES:
        found = wanted.replace("\\", ",").split(",")
    else:
        found = wanted.split("\\") if rules.several else [wanted]
    if len(found) > MAX_ALTERNATIVES and tag not in UIDS:
        raise InvalidArgument(f"an attribute has at most {MAX_ALTERNATIVES} alternatives")
    return found


def matches(header: Mapping[str, Any], keys: Keys, rules: Rules) -> bool:
    """True if a DICOM JSON object matches every key; those of one sequence all in the same item."""
    return all(_one(header.get(tag) or {}, tag, wanted, rules) for tag, wanted in keys.items())


def _one(element: Mapping[str, Any], tag: str, wanted: str | Keys, rules: Rules) -> bool:
    found = element.get("Value") or []
    if isinstance(wanted, dict):
        return any(isinstance(item, Mapping) and matches(item, wanted, rules) for item in found)
    if rules.empty and wanted == EMPTY:
        return not any(_texts(found))
    values, vr = list(_texts(found)), str(element.get("vr", ""))
    return any(_value(values, vr, one, rules) for one in alternatives(tag, wanted, rules))


def _value(values: list[str], vr: str, wanted: str, rules: Rules) -> bool:
    if vr in {"DA", "TM", "DT"} and "-" in wanted:
        low, _, high = wanted.partition("-")
        return any((not low or value >= low) and (not high or value[: len(high)] <= high) for value in values)
    if vr == "UI":
        return any(value in wanted.replace("\\", ",").split(",") for value in values)
    if vr == "PN":
        values, wanted = [value.lower() for value in values], wanted.lower()
        wanted = f"*{wanted}*" if rules.fuzzy else wanted
    if is_pattern(wanted):
        pattern = wanted.replace("[", "[[]")
        return any(fnmatch.fnmatchcase(value, pattern) for value in values)
    return wanted in values


def is_pattern(wanted: str) -> bool:
    """True if a value has wildcards. Source: PS3.4 C.2.2.2.4."""
    return "*" in wanted or "?" in wanted


def _texts(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        yield str(value.get("Alphabetic", "")) if isinstance(value, Mapping) else str(value)

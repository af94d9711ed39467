"""An uploader's report is read strictly: what has no place in the schema, or could be a text, is not kept.

In: the document of a verified signature. Out: what it says of each file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from irp_deid.errors import ReportNotReadable
from irp_deid.uploads import MAX_PATHS, SCHEMA, UPLOADER, Rules

MAX_INSTANCES = 4096
MAX_REASONS = 64
MAX_COUNT = 1 << 31

_SHA256, _UID = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9.]{1,64}")
_TIME, _REASON = re.compile(r"[0-9T:.+Z-]{1,40}"), re.compile(r"[A-Z0-9_]{1,64}")
_ACTION, _PATH = re.compile(r"[a-z]{1,16}"), re.compile(r"[0-9A-F\[\].]{8,256}")
_DOCUMENT = {"schema", "by", "at", "complete", "declared", "instances", "treatments", "refused"}
_RULES = {"project", "revision", "configuration", "site", "profile", "engine"}
_INSTANCE = {
    "study_uid": _UID,
    "series_uid": _UID,
    "sop_uid": _UID,
    "sop_class": _UID,
    "sha256": _SHA256,
    "original": _SHA256,
}
_NUMBERS = {"sequences", "treatment", "again"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What an uploader says of a file.

    Attributes:
        original: keyed hash of the original dataset's bytes.
        sequences: numbers of the sequence rules that the original header matched.
    """

    original: str
    sequences: tuple[int, ...]


def read_declared(document: Mapping[str, Any]) -> dict[str, Declared]:
    """Instances of an uploader's report by SHA-256 of the de-identified file.

    Raises:
        ReportNotReadable: another schema, or something that the schema does not have.
    """
    try:
        _require(document.keys() == _DOCUMENT | _RULES)
        _require((document["schema"], document["by"], document["declared"]) == (SCHEMA, UPLOADER, ""))
        _require(bool(_TIME.fullmatch(document["at"])) and isinstance(document["complete"], bool))
        _counts(document["refused"], _REASON)
        treatments = _listed(document["treatments"], MAX_INSTANCES)
        for one in treatments:
            _treatment(one)
        return dict(_instance(one, len(treatments)) for one in _listed(document["instances"], MAX_INSTANCES))
    except (KeyError, TypeError, AttributeError, ValueError):
        raise ReportNotReadable from None


def follows(document: Mapping[str, Any], rules: Rules) -> bool:
    """True if the report was made under exactly these rules, for this site, by an engine of this version."""
    told = rules.to_dict()
    number = document.get("revision")  # may be another one: the document that counts is named by its hash
    return isinstance(number, int) and {name: document.get(name) for name in told} == told | {"revision": number}


def _instance(one: Mapping[str, Any], treatments: int) -> tuple[str, Declared]:
    _require(one.keys() == _INSTANCE.keys() | _NUMBERS)
    for name, pattern in _INSTANCE.items():
        _require(bool(pattern.fullmatch(one[name])))
    _require(isinstance(one["again"], bool) and _is_count(one["treatment"]) and one["treatment"] < treatments)
    sequences = tuple(_listed(one["sequences"], MAX_REASONS))
    _require(all(_is_count(number) for number in sequences))
    return one["sha256"], Declared(original=one["original"], sequences=sequences)


def _treatment(one: Mapping[str, Any]) -> None:
    _require(one.keys() == {"actions", "removed"})
    _counts(one["actions"], _ACTION)
    for path in _listed(one["removed"], MAX_PATHS):
        _require(bool(_PATH.fullmatch(path)))


def _counts(found: Mapping[str, Any], name: re.Pattern[str]) -> None:
    _require(len(found) <= MAX_REASONS)
    _require(all(name.fullmatch(said) and _is_count(number) for said, number in found.items()))


def _is_count(number: Any) -> bool:
    return type(number) is int and 0 <= number < MAX_COUNT


def _listed(found: Any, limit: int) -> list[Any]:
    _require(isinstance(found, list) and len(found) <= limit)
    return list(found)


def _require(holds: bool) -> None:
    if not holds:
        raise ReportNotReadable

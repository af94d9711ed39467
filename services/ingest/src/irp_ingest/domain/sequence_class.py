"""Which class is a series of: rules of the project on the original header, so that later rooms need no free text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

OTHER = "other"
MAX_VALUE = 256  # characters of a header value that a pattern sees


def candidates(rules: Sequence[Mapping[str, Any]], header: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rules whose conditions on the header hold, in order; `phases` is left for the whole series.

    Args:
        rules: `sequences` of the configuration.
        header: keyword -> value (text or number) of the original header.
    """
    found = []
    for rule in rules:
        conditions = dict(rule["when"])
        phases = conditions.pop("phases", None)
        if all(_holds(condition, header.get(keyword)) for keyword, condition in conditions.items()):
            found.append({"class": rule["class"], "phases": phases})
    return found


def decide(candidate_rules: Sequence[Mapping[str, Any]], phases: int) -> str:
    """The first candidate whose number of phases fits, else "other"."""
    for rule in candidate_rules:
        if rule["phases"] is None or _in_range(rule["phases"], phases):
            return str(rule["class"])
    return OTHER


def _holds(condition: Any, value: Any) -> bool:
    if value is None:
        return False
    if isinstance(condition, Mapping):
        try:
            return _in_range(condition, float(value))
        except (TypeError, ValueError):
            return False
    return re.search(condition, str(value)[:MAX_VALUE]) is not None


def _in_range(limits: Mapping[str, Any], value: float) -> bool:
    low, high = limits.get("min"), limits.get("max")
    return (low is None or value >= low) and (high is None or value <= high)

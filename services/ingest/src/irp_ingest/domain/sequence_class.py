"""Which class is a series of: rules of the project on the original header, so that later rooms need no free text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from irp_deid.sequences import PHASES, in_range, matching

OTHER = "other"


def candidates(rules: Sequence[Mapping[str, Any]], header: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rules whose conditions on the header hold, in order; `phases` is left for the whole series.

    Args:
        rules: `sequences` of the configuration.
        header: keyword -> value (text or number) of the original header.
    """
    return numbered(rules, matching(rules, header))


def numbered(rules: Sequence[Mapping[str, Any]], numbers: Iterable[int]) -> list[dict[str, Any]]:
    """Candidates by the numbers of their rules; numbers that no rule has are left out."""
    known = [rules[number] for number in sorted(set(numbers)) if 0 <= number < len(rules)]
    return [{"class": rule["class"], "phases": rule["when"].get(PHASES)} for rule in known]


def decide(candidate_rules: Sequence[Mapping[str, Any]], phases: int) -> str:
    """The first candidate whose number of phases fits, else "other"."""
    for rule in candidate_rules:
        if rule["phases"] is None or in_range(rule["phases"], phases):
            return str(rule["class"])
    return OTHER

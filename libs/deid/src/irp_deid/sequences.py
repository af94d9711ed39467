"""Which sequence rules of a project does an original header match? Asked where the original is: by ingest, or before.

Only the numbers of the rules leave; the header's texts do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import re2
from pydicom.datadict import keyword_dict
from pydicom.dataset import Dataset

MAX_VALUE = 256  # characters of a header value that a pattern sees
PATTERNS = 512  # that are remembered
NO_TEXT = frozenset({"SQ", "OB", "OW", "OF", "OD", "OL", "OV", "UN"})
PHASES = "phases"  # a condition on the whole series: left to whoever knows it


def matching_sequences(rules: Sequence[Mapping[str, Any]], dataset: Dataset) -> list[int]:
    """Numbers (from 0) of the rules of `sequences` in a configuration that an original matches."""
    keywords = {keyword for rule in rules for keyword in rule["when"]}
    return matching(rules, plain_header(dataset, keywords))


def matching(rules: Sequence[Mapping[str, Any]], header: Mapping[str, Any]) -> list[int]:
    """Numbers (from 0) of the rules whose conditions hold for a header of keywords and values."""
    return [number for number, rule in enumerate(rules) if _all_hold(rule["when"], header)]


def plain_header(dataset: Dataset, keywords: set[str]) -> dict[str, Any]:
    """Top-level values by keyword; several values are joined by a backslash, as DICOM writes them."""
    found = {}
    for keyword in keywords & set(keyword_dict):
        try:
            element = dataset[keyword]
        except Exception:  # noqa: S112 - an element that is not there or cannot be read matches no rule
            continue
        if element.VR not in NO_TEXT:
            value = element.value
            several = not isinstance(value, str) and hasattr(value, "__iter__")
            found[keyword] = "\\".join(map(str, value)) if several else value
    return found


def in_range(limits: Mapping[str, Any], value: float) -> bool:
    """True if a number lies within limits, both ends included; None = no limit."""
    low, high = limits.get("min"), limits.get("max")
    return (low is None or value >= low) and (high is None or value <= high)


def _all_hold(conditions: Mapping[str, Any], header: Mapping[str, Any]) -> bool:
    return all(_holds(condition, header.get(word)) for word, condition in conditions.items() if word != PHASES)


def _holds(condition: Any, value: Any) -> bool:
    if value is None:
        return False
    if isinstance(condition, Mapping):
        try:
            return in_range(condition, float(value))
        except (TypeError, ValueError):
            return False
    pattern = _pattern(condition)
    return pattern is not None and pattern.search(str(value)[:MAX_VALUE]) is not None


@lru_cache(PATTERNS)
def _pattern(text: str) -> Any:
    """In a time that grows with the text, whatever the pattern: projects write patterns, and senders the headers.

    None where it is none; the gateway takes no such configuration, but may have before.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error:
        return None

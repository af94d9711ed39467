"""Which model proposes by itself for a series. Absent means nothing happens by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def proposing_model(configuration: Mapping[str, Any], sequence_class: str) -> str | None:
    """`automation.segment[class]` of the configuration, or None."""
    segment = (configuration.get("automation") or {}).get("segment") or {}
    found = segment.get(sequence_class)
    return str(found) if found else None

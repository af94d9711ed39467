"""What a project's configuration says of the models that it uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def sequences_served(document: Mapping[str, Any], name: str) -> frozenset[str]:
    """Sequence classes for which a model proposes by itself (`automation.segment`), in whatever version."""
    return frozenset(sequence for sequence, model in _segment(document).items() if _name(model) == name)


def _segment(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return (document.get("automation") or {}).get("segment") or {}


def _name(model: object) -> str:
    """`cine@3` -> `cine`; nothing -> ""."""
    return str(model or "").partition("@")[0]

"""What a project's configuration says of the models that it uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def sequences_served(document: Mapping[str, Any], name: str) -> frozenset[str]:
    """Sequence classes for which a model proposes by itself (`automation.segment`), in whatever version."""
    return frozenset(sequence for sequence, model in _segment(document).items() if _name(model) == name)


def names_used(document: Mapping[str, Any]) -> frozenset[str]:
    """Models that propose for a project by themselves, and the one that it teaches by itself (`automation.train`)."""
    train = (document.get("automation") or {}).get("train") or {}
    return frozenset(map(_name, (*_segment(document).values(), train.get("model")))) - {""}


def approvals_wanted(document: Mapping[str, Any]) -> int:
    """`approvals`: how many further people have to agree; 0 or 1."""
    return int(document.get("approvals") or 0)


def _segment(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return (document.get("automation") or {}).get("segment") or {}


def _name(model: object) -> str:
    """`cine@3` -> `cine`; nothing -> ""."""
    return str(model or "").partition("@")[0]

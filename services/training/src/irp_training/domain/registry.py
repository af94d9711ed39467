"""The registry: versions are integers per name, bundles are immutable, one version is the champion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from irp_kernel import ObjectRef

from irp_training.domain.errors import NoEarlierChampion
from irp_training.domain.run import ModelRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One version.

    Attributes:
        run: the run that made it, as (project, id); None if it was pushed.
        dataset_digest: what it was trained on; empty if not known.
        figures: of its card, as JSON.
        structures: canonical names that it segments.
    """

    ref: ModelRef
    bundle: ObjectRef
    created_at: str
    actor: str
    licence: str
    figures: str
    structures: tuple[str, ...]
    dataset_digest: str = ""
    run: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Promotion:
    """One entry of a model's history of champions; `sequence` counts from 1."""

    sequence: int
    version: int
    kind: Literal["promote", "rollback"]


def champion(history: Sequence[Promotion]) -> int | None:
    """Version that is the champion now: the top of the pile; None before the first promotion."""
    pile = _pile(history)
    return pile[-1] if pile else None


def earlier_champion(history: Sequence[Promotion]) -> int:
    """Version that a rollback makes the champion again.

    Raises:
        NoEarlierChampion: there was one only.
    """
    pile = _pile(history)
    if len(pile) < 2:
        raise NoEarlierChampion
    return pile[-2]


def _pile(history: Sequence[Promotion]) -> list[int]:
    """Promotions put a version on the pile, rollbacks take one off."""
    pile: list[int] = []
    for entry in sorted(history, key=lambda p: p.sequence):
        if entry.kind == "rollback":
            pile.pop()
        elif not pile or pile[-1] != entry.version:
            pile.append(entry.version)
    return pile

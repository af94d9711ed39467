"""The registry: versions are integers per name, bundles are immutable, one version is the champion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from irp_kernel import ObjectRef
from irp_kernel.ids import Alias, name_versions

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
        recipe_sha256: of the frozen recipe; empty if it was pushed.
        base: `name@version` that it started from; empty = from scratch, or pushed.
        signature: compact JWS of its statement; empty = not signed.
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
    recipe_sha256: str = ""
    base: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Promotion:
    """One entry of a model's history of champions; `sequence` counts from 1.

    Attributes:
        actor: who made it so; of a promotion that waited, who asked for it.
        at: RFC 3339 UTC.
        reason: why, in plain words.
    """

    sequence: int
    version: int
    kind: Literal["promote", "rollback"]
    actor: str = ""
    at: str = ""
    reason: str = ""


def champion(history: Sequence[Promotion]) -> int | None:
    """Version that is the champion now: the top of the pile; None before the first promotion."""
    pile = _pile(history)
    return pile[-1] if pile else None


def champions(history: Sequence[Promotion]) -> tuple[int, ...]:
    """Every version on the pile, once, from the champion down."""
    return tuple(dict.fromkeys(reversed(_pile(history))))


def previous(history: Sequence[Promotion]) -> int | None:
    """Version that was the champion before the one now; None if there was one only."""
    pile = _pile(history)
    return pile[-2] if len(pile) > 1 else None


def earlier_champion(history: Sequence[Promotion]) -> int:
    """Version that a rollback makes the champion again.

    Raises:
        NoEarlierChampion: there was one only.
    """
    before = previous(history)
    if before is None:
        raise NoEarlierChampion
    return before


def aliases(versions: Sequence[int], history: Sequence[Promotion]) -> dict[Alias, int]:
    """Which version each alias names now; an alias that names none is left out. See `irp_kernel.ids.Alias`."""
    return name_versions(max(versions, default=0), champion(history) or 0, previous(history) or 0)


def _pile(history: Sequence[Promotion]) -> list[int]:
    """Promotions put a version on the pile, rollbacks take one off."""
    pile: list[int] = []
    for entry in sorted(history, key=lambda p: p.sequence):
        if entry.kind == "rollback":
            pile.pop()
        elif not pile or pile[-1] != entry.version:
            pile.append(entry.version)
    return pile

"""The nouns of a run as a computation: what decides it, what it says on the way, what comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from irp_training.domain.datasets.dataset import Case
from irp_training.domain.price import FREE, Price
from irp_training.domain.recipes.recipe import Recipe
from irp_training.domain.run import Metric, Progress
from irp_training.domain.watching.overlay import Overlay

FileBytes = bytes | memoryview  # as it is stored, or mapped from a disk
CaseFile = tuple[Case, str, FileBytes, FileBytes]  # case, split, volume file, mask file


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that decides the result, beside the case files.

    Attributes:
        model: name of the result.
        recipe: frozen.
        base: bundle to start from; empty = from scratch.
        base_name: `name@version`, for the card.
        dataset_digest: for the card.
        run: id, for the card.
        created_at: RFC 3339 UTC, for the card.
        device: "cpu" or "cuda".
        price: of an hour, for the recipe's `max_cost`.
        spent_s: seconds that earlier attempts took.
    """

    model: str
    recipe: Recipe
    base: bytes
    base_name: str
    dataset_digest: str
    run: str
    created_at: str
    device: str = "cpu"
    price: Price = FREE
    spent_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came out.

    Attributes:
        bundle: ZIP.
        structures: canonical names, by channel.
        licence: docs/license.txt.
        figures: as the card shows them.
        cases: one per held-out series: series, patient, split, Dice before (base) and after per structure, distances
            of borders after.
        remarks: how learning ended, where that is not as usual, in sentences.
    """

    bundle: bytes
    structures: tuple[str, ...]
    licence: str
    figures: dict[str, Any]
    cases: list[dict[str, Any]]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One report on the way.

    Attributes:
        spent_s: seconds of all attempts so far.
        overlays: of a checkpoint.
        configured: see `Configured.to_text`; empty = nothing new was chosen.
    """

    progress: Progress
    metrics: tuple[Metric, ...] = ()
    checkpoint: bytes | None = None
    spent_s: float = 0.0
    overlays: tuple[Overlay, ...] = ()
    configured: str = ""


Say = Callable[[Said], None]

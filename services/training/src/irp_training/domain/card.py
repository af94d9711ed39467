"""The model card: what it learnt from, how, how good it is on patients it never saw, and where it fails."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from irp_training.domain.recipe import Recipe

TOLD = {"description", "licence", "notes"}  # have their own place on the card

LIMITS = """\
- Short-axis slices of the heart only, one slice at a time: it knows nothing of neighbours in time or space.
- Figures were measured on patients of the same collection as the training data; another scanner, another sequence or
  another way of drawing can lower them. Measure on your own masks before relying on it.
- Weakest where experts differ too: the most basal slice (is this still ventricle?) and the apex.
- If stage 1 finds no left ventricle in any slice, the middle of the image is taken; the answer's provenance says so.
- For research. Not a medical device; every mask is a proposal for an expert."""


def model_card(
    *, name: str, recipe: Recipe, base: str, digest: str, structures: Sequence[str], figures: Mapping[str, Any]
) -> str:
    """docs/README.md of a bundle, in Markdown.

    Args:
        name: of the model.
        recipe: frozen.
        base: `name@version` it started from, or empty.
        digest: of the dataset.
        structures: canonical names of its channels.
        figures: {split: {structure: {"mean", "min", "cases"}}}, patients and slices counted.
    """
    origin = f"Fine-tuned from `{base}`" if base else "Trained from scratch"
    lines = [
        f"# {name}",
        "",
        f"Segments {', '.join(structures)} in short-axis cardiac MR, in two stages: a small net finds the left",
        f"ventricle on the whole slice, a second one segments inside a window around it. {origin}.",
        "",
        "## Data",
        recipe.description or "Accepted masks of one project.",
        "",
        f"Dataset digest: `{digest}` (SHA-256 of the manifest). Patients were split before training.",
        *_counts(figures),
        "",
        "## Figures",
        "Dice of the whole pipeline, one value per series, on slices that an expert judged.",
        "",
        *_table(figures),
        "",
        "## Recipe",
        "```json",
        json.dumps({k: v for k, v in asdict(recipe).items() if k not in TOLD}, sort_keys=True, indent=1),
        "```",
        f"Seed {recipe.seed}. Loss: cross-entropy + Dice on judged structures only. AdamW, one cycle, moving average.",
        *(["", recipe.notes] if recipe.notes else []),
        "",
        "## Limits and failure modes",
        LIMITS,
        "",
        "## Licence",
        recipe.licence or "See docs/license.txt.",
        "",
    ]
    return "\n".join(lines)


def _counts(figures: Mapping[str, Any]) -> list[str]:
    counts = figures.get("counts", {})
    return [f"- {part}: {n['patients']} patients, {n['series']} series" for part, n in counts.items()]


def _table(figures: Mapping[str, Any]) -> list[str]:
    rows = ["| split | structure | Dice mean | least | series |", "|---|---|---|---|---|"]
    for part, structures in figures.get("dice", {}).items():
        for structure, at in structures.items():
            rows.append(f"| {part} | {structure} | {at['mean']:.3f} | {at['min']:.3f} | {at['cases']} |")
    return rows

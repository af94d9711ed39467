"""The model card: what it learnt from, how, how good it is on patients it never saw, and where it fails."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from irp_bundle import PipelineSpec

from irp_training.domain.judging.figures import FEWEST
from irp_training.domain.recipes.recipe import Recipe

DESIGNED = PipelineSpec()
TOLD = {"description", "licence", "notes"}  # have their own place on the card

PLACE = {True: "stacks of slices, patch by patch, about it", False: "inside a window around it"}
SEEN = {
    True: "Short-axis stacks of the heart only, at one time: it knows nothing of neighbours in time.",
    False: "Short-axis slices of the heart only, one slice at a time: it knows nothing of neighbours in time or space.",
}
LIMITS = """\
- Figures were measured on patients of the same collection as the training data; another scanner, another sequence or
  another way of drawing can lower them. Measure on your own masks before relying on it.
- Weakest where experts differ too: the most basal slice (is this still ventricle?) and the apex.
- If stage 1 finds no left ventricle in any slice, the middle of the image is taken; the answer's provenance says so.
- For research. Not a medical device; every mask is a proposal for an expert."""


def model_card(
    *,
    name: str,
    recipe: Recipe,
    base: str,
    digest: str,
    structures: Sequence[str],
    figures: Mapping[str, Any],
    pipeline: PipelineSpec = DESIGNED,
    configured: Mapping[str, Any] | None = None,
) -> str:
    """docs/README.md of a bundle, in Markdown.

    Args:
        name: of the model.
        recipe: frozen.
        base: `name@version` it started from, or empty.
        digest: of the dataset.
        structures: canonical names of its channels.
        figures: see `figures`: counts, dice, dice_of_base, subgroups.
        pipeline: of the bundle.
        configured: see `Configured.to_json`; None or empty = the training cases chose nothing.
    """
    deep = pipeline.segment.dimension == "3d"
    origin = f"Fine-tuned from `{base}`" if base else "Trained from scratch"
    lines = [
        f"# {name}",
        "",
        f"Segments {', '.join(structures)} in short-axis cardiac MR, in two stages: a small net finds the left",
        f"ventricle on the whole slice, a second one segments {PLACE[deep]}. {origin}.",
        "",
        "## Data",
        recipe.description or "Accepted masks of one project.",
        "",
        f"Dataset digest: `{digest}` (SHA-256 of the manifest). Patients were split before training.",
        *_counts(figures),
        "",
        "## Figures",
        "Dice of the whole pipeline, one value per series, on slices that an expert judged. Intervals are over",
        "patients (bootstrap, 2000 resamples); `-` stands where two patients are not there to make one.",
        "",
        *_table(figures),
        "",
        "## Subgroups",
        *_subgroups(figures),
        "",
        "## Recipe",
        *_recipe(recipe),
        *(_chosen(configured) if configured else []),
        "",
        "## Limits and failure modes",
        f"- {SEEN[deep]}",
        LIMITS,
        "",
        "## Licence",
        recipe.licence or "See docs/license.txt.",
        "",
    ]
    return "\n".join(lines)


def _recipe(recipe: Recipe) -> list[str]:
    return [
        "```json",
        json.dumps({k: v for k, v in asdict(recipe).items() if k not in TOLD}, sort_keys=True, indent=1),
        "```",
        f"Seed {recipe.seed}. Loss: cross-entropy + Dice on judged structures only. AdamW, one cycle, moving average.",
        *(["", recipe.notes] if recipe.notes else []),
    ]


def _chosen(configured: Mapping[str, Any]) -> list[str]:
    """What the training cases decided, why, and what they are like."""
    chosen, reasons = configured["chosen"], configured["reasons"]
    return [
        "",
        "## Chosen by the training cases",
        "| key | value | why |",
        "|---|---|---|",
        *(f"| `{key}` | {json.dumps(chosen[key])} | {_cell(reasons[key])} |" for key in sorted(chosen)),
        "",
        "Their fingerprint, medians over series:",
        "```json",
        json.dumps(configured["fingerprint"], sort_keys=True, indent=1),
        "```",
    ]


def _counts(figures: Mapping[str, Any]) -> list[str]:
    counts = figures.get("counts", {})
    return [f"- {part}: {n['patients']} patients, {n['series']} series" for part, n in counts.items()]


def _table(figures: Mapping[str, Any]) -> list[str]:
    """One row per split and structure, with what the base reached on the same patients."""
    before = figures.get("dice_of_base", {})
    return [
        "| split | structure | Dice mean | 95 % interval | least | series | patients | base |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {part} | {structure} | {at['mean']:.3f} | {_interval(at)} | {at['min']:.3f} | {at['cases']} "
            f"| {at.get('patients', '-')} | {_mean(before.get(part, {}).get(structure))} |"
            for part, structures in figures.get("dice", {}).items()
            for structure, at in structures.items()
        ),
    ]


def _subgroups(figures: Mapping[str, Any]) -> list[str]:
    """One row per subgroup and structure; a card without subgroups says why."""
    found = figures.get("subgroups", [])
    if not found:
        return [f"None: no subgroup has the {FEWEST} patients that a figure needs."]
    return [
        "| split | subgroup | structure | Dice mean | 95 % interval | least | series | patients |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {at['split']} | {at['attribute']}: {_cell(at['value'])} | {at['structure']} | {at['mean']:.3f} "
            f"| {_interval(at)} | {at['min']:.3f} | {at['cases']} | {at['patients']} |"
            for at in found
        ),
    ]


def _mean(at: Mapping[str, Any] | None) -> str:
    return f"{at['mean']:.3f}" if at else "-"


def _interval(at: Mapping[str, Any]) -> str:
    low, high = at.get("low"), at.get("high")
    return "-" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _cell(text: str) -> str:
    """What a header says of its scanner may hold anything: here it stands in one cell of a table."""
    return " ".join(text.replace("|", "/").replace("`", "'").split())

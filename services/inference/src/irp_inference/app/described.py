"""How an answer came to be, stage by stage, as a mask's provenance says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from irp_bundle import Located, Segmented


def described(parts: Sequence[Segmented]) -> dict[str, str]:
    """Parameters of one answer, or of the frames that together are one.

    Args:
        parts: of one volume and one model; at least one.
    """
    first = parts[0].report
    corrections: Counter[str] = sum((Counter(part.report.corrections) for part in parts), Counter())
    warnings = {warning for part in parts for warning in part.estimate.warnings}
    return {
        **_located(first.located),
        **first.parameters,
        **{f"post.{rule}_slices": str(count) for rule, count in sorted(corrections.items())},
        **({"estimate.warnings": ",".join(sorted(warnings))} if warnings else {}),
        **_expected(parts),
    }


def _located(located: Located) -> dict[str, str]:
    """What stage 1 said, in numbers."""
    outcomes = sorted(set(located.outcomes))
    counts = {outcome: sum(o == outcome for o in located.outcomes) for outcome in outcomes}
    return {
        "locate.box_px": f"{located.box:.1f}",
        **{f"locate.{outcome}_slices": str(count) for outcome, count in counts.items()},
    }


def _expected(parts: Sequence[Segmented]) -> dict[str, str]:
    """The mean over the parts of what the network expects of its Dice, by structure."""
    expected = [part.estimate.expected_dice for part in parts]
    names = sorted({name for figures in expected for name in figures})
    means = {name: np.mean([figures[name] for figures in expected if name in figures]) for name in names}
    return {f"estimate.dice.{name}": f"{mean:.3f}" for name, mean in means.items()}

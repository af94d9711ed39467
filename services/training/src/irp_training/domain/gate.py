"""The gate: a candidate becomes champion only if it is not worse.

Rule. Both models segment the same frozen validation set with the whole two-stage pipeline. For each structure that
the champion segments, the difference of Dice (candidate - champion) is taken case by case, only on slices that an
expert judged. The candidate passes if, for every such structure, the mean of these paired differences is at least
-margin (default 0.01). A structure that the candidate no longer segments is a failure. Where there is no champion,
there is nothing to be worse than. Where no validation case judges
any structure, nothing is known, and the gate says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isnan

Scores = Mapping[str, Mapping[str, float]]  # case (series) -> structure -> Dice; NaN or absent: not judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One structure, over the cases that both models were judged on.

    Attributes:
        structure: canonical name.
        cases: number of pairs.
        candidate: mean Dice.
        champion: mean Dice.
        difference: mean of the paired differences.
        worst: smallest paired difference.
        passed: difference >= -margin.
    """

    structure: str
    cases: int
    candidate: float
    champion: float
    difference: float
    worst: float
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the gate says.

    Attributes:
        passed: the candidate may be promoted.
        reason: in plain words.
        margin: Dice that a structure may lose on average.
        dataset: digest of the frozen validation set; empty if there is none.
        comparisons: one per structure.
    """

    passed: bool
    reason: str
    margin: float
    dataset: str = ""
    comparisons: tuple[Comparison, ...] = ()

    def to_json(self) -> str:
        """Canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def worst(self) -> Comparison | None:
        """The structure that lost most."""
        return min(self.comparisons, key=lambda c: c.difference, default=None)


def judge(
    candidate: Scores, champion: Scores | None, *, margin: float, dataset: str, structures: tuple[str, ...]
) -> Verdict:
    """Compare pairs.

    Args:
        candidate: Dice of the candidate.
        champion: Dice of the champion on the same cases; None if there is no champion.
        margin: see the rule.
        dataset: digest of the dataset whose validation split this is.
        structures: those that the champion segments.
    """
    if champion is None:
        return Verdict(passed=True, reason="there is no champion yet", margin=margin, dataset=dataset)
    compared = [_compare(name, candidate, champion, margin) for name in structures]
    found = tuple(c for c in compared if c is not None)
    if not found:
        return Verdict(passed=True, reason="no validation case judges any structure", margin=margin, dataset=dataset)
    failed = [c.structure for c in found if not c.passed]
    reason = f"worse on {', '.join(failed)}" if failed else "not worse on any structure"
    return Verdict(passed=not failed, reason=reason, margin=margin, dataset=dataset, comparisons=found)


def _compare(structure: str, candidate: Scores, champion: Scores, margin: float) -> Comparison | None:
    pairs = [
        (candidate.get(case, {}).get(structure, 0.0), before)
        for case, scores in champion.items()
        if not isnan(before := scores.get(structure, float("nan")))
    ]
    if not pairs:
        return None
    pairs = [(0.0 if isnan(after) else after, before) for after, before in pairs]
    differences = [after - before for after, before in pairs]
    mean = sum(differences) / len(pairs)
    return Comparison(
        structure=structure,
        cases=len(pairs),
        candidate=sum(after for after, _ in pairs) / len(pairs),
        champion=sum(before for _, before in pairs) / len(pairs),
        difference=mean,
        worst=min(differences),
        passed=mean >= -margin,
    )

"""The gate: a candidate becomes champion only if it is not worse.

Rule. Both models segment the same frozen validation set with the whole two-stage pipeline. For each structure that
the champion segments, the difference of Dice (candidate - champion) is taken case by case, only on slices that an
expert judged, and averaged per patient. Where the expert judged a structure and saw none, a model that sees none either
has a Dice of 1, and one that sees some has 0: what a model makes up counts, and so does no longer making it up. Where
expert, candidate and champion all see none, nothing is compared: were it counted as a tie, many hearts without a scar
would hide a loss in the few with one. The candidate passes if, for every such structure,

- `mean`: the mean of the patients' differences is at least -margin (default 0.01);
- `bootstrap`: the lower bound of the one-sided 95 % interval of that mean, patients drawn anew, is above -margin;
- `auto`: `bootstrap` where at least six patients were judged. Below that, no interval says anything: `mean` decides,
  and the verdict says that it proves nothing.

Each structure has to pass, so that no correction for their number is needed. A structure that the candidate no longer
segments is a failure, whether or not anybody judged it. Where there is no champion, there is nothing to be worse than.
Of what nobody judged in the validation set nothing is known, and the gate says so, structure by structure. What else is
looked at is in `checks.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isnan
from typing import Literal, get_args

from irp_training.domain.judging.patients import by_patient, lower_bound

# Case (series) -> structure -> Dice. Absent: nobody judged it. NaN: an expert judged it, and neither the expert nor the
# model saw any.
Scores = Mapping[str, Mapping[str, float]]
Rule = Literal["mean", "bootstrap"]
Way = Literal["auto", "mean", "bootstrap"]
WAYS: tuple[Way, ...] = get_args(Way)
NONE_SEEN = float("nan")
ENOUGH = 6  # patients: below, an interval of their mean says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One structure, over the cases in which the expert or one of both models sees it.

    Attributes:
        structure: canonical name.
        cases: number of pairs.
        candidate: mean Dice; with 1 for cases in which rightly nothing was found, 0 where something was made up.
        champion: the same.
        difference: mean over patients of the mean of their paired differences.
        worst: smallest paired difference.
        passed: by the rule.
        patients: number of patients; 0 in verdicts that did not count them.
        rule: what decided.
        lower: lower bound of the one-sided 95 % interval of the difference; None = too few patients.
    """

    structure: str
    cases: int
    candidate: float
    champion: float
    difference: float
    worst: float
    passed: bool
    patients: int = 0
    rule: Rule = "mean"
    lower: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroup:
    """One structure on the patients of one subgroup.

    Attributes:
        attribute: for example "site".
        value: which site.
        difference: as in Comparison.
        bound: difference that is allowed at least; None = too few patients, it is only shown.
    """

    attribute: str
    value: str
    structure: str
    patients: int
    candidate: float
    champion: float
    difference: float
    bound: float | None
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One more figure of both models.

    Attributes:
        name: "calibration" (expected calibration error, 0 is best) or "latency" (seconds per slice).
        candidate: its figure.
        champion: its figure.
        change: candidate - champion for calibration, candidate / champion for latency.
        bound: largest change that is allowed.
        passed: change is within the bound, or the check only warns.
        warning: why it only warns, or what is near; empty = nothing to say.
    """

    name: Literal["calibration", "latency"]
    candidate: float
    champion: float
    change: float
    bound: float
    passed: bool
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the gate says.

    Attributes:
        passed: the candidate may be promoted.
        reason: in plain words.
        margin: Dice that a structure may lose on average.
        dataset: digest of the frozen validation set; empty if there is none.
        comparisons: one per structure.
        subgroups: one per subgroup and structure.
        checks: calibration and latency, where they could be measured.
        warnings: what does not refuse, and should be known.
    """

    passed: bool
    reason: str
    margin: float
    dataset: str = ""
    comparisons: tuple[Comparison, ...] = ()
    subgroups: tuple[Subgroup, ...] = ()
    checks: tuple[Check, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def worst(self) -> Comparison | None:
        """The structure that lost most."""
        return min(self.comparisons, key=lambda c: c.difference, default=None)


def judge(
    candidate: Scores,
    champion: Scores | None,
    *,
    margin: float,
    dataset: str,
    structures: tuple[str, ...],
    patients: Mapping[str, str] | None = None,
    way: Way = "mean",
) -> Verdict:
    """Compare pairs.

    Args:
        candidate: Dice of the candidate.
        champion: Dice of the champion on the same cases; None if there is no champion.
        margin: see the rule.
        dataset: digest of the dataset whose validation split this is.
        structures: those that the champion segments.
        patients: pseudonym by case; None = each case is another patient.
        way: see the rule.
    """
    if champion is None:
        return Verdict(passed=True, reason="there is no champion yet", margin=margin, dataset=dataset)
    pairs = {name: paired(name, candidate, champion) for name in structures}
    found = tuple(_compare(name, some, patients or {}, margin, way) for name, some in pairs.items() if some)
    unknown = tuple(_not_compared(name, champion) for name, some in pairs.items() if not some)
    if not found:
        reason = "no validation case judges any structure"
        return Verdict(passed=True, reason=reason, margin=margin, dataset=dataset, warnings=unknown)
    return Verdict(
        passed=all(c.passed for c in found),
        reason=_in_words(found),
        margin=margin,
        dataset=dataset,
        comparisons=found,
        warnings=(*unknown, *(_too_few(found) if way == "auto" else ())),
    )


def given_up(candidate: tuple[str, ...], champion: tuple[str, ...], margin: float) -> Verdict | None:
    """A refusal where the candidate no longer segments one of the champion's structures."""
    gone = [name for name in champion if name not in candidate]
    return Verdict(passed=False, reason=f"no longer segments {', '.join(gone)}", margin=margin) if gone else None


def not_measured(why: str, champion: str, *, margin: float, dataset: str) -> Verdict:
    """A refusal where measuring failed: nothing is known. `champion`: its version; empty if there is none."""
    beside = f" beside {champion}" if champion else ""
    return Verdict(passed=False, reason=f"could not be measured{beside}: {why}", margin=margin, dataset=dataset)


def paired(structure: str, candidate: Scores, champion: Scores) -> dict[str, tuple[float, float]]:
    """Dice (candidate, champion) by case, where an expert judged it and somebody saw it; see the rule.

    Where the candidate has no answer, it has found nothing.
    """
    found = {}
    for case, scores in champion.items():
        if structure not in scores:
            continue
        before = scores[structure]
        after = candidate.get(case, {}).get(structure, NONE_SEEN if isnan(before) else 0.0)
        if not (isnan(before) and isnan(after)):
            found[case] = (1.0 if isnan(after) else after, 1.0 if isnan(before) else before)
    return found


def _compare(
    structure: str, pairs: Mapping[str, tuple[float, float]], patients: Mapping[str, str], margin: float, way: Way
) -> Comparison:
    differences = {case: after - before for case, (after, before) in pairs.items()}
    values = by_patient(differences.items(), patients)
    mean = sum(values.values()) / len(values)
    lower = lower_bound(values) if len(values) >= ENOUGH else None
    rule: Rule = "bootstrap" if way == "bootstrap" or (way == "auto" and lower is not None) else "mean"
    return Comparison(
        structure=structure,
        cases=len(pairs),
        candidate=sum(after for after, _ in pairs.values()) / len(pairs),
        champion=sum(before for _, before in pairs.values()) / len(pairs),
        difference=mean,
        worst=min(differences.values()),
        passed=mean >= -margin if rule == "mean" else lower is not None and lower > -margin,
        patients=len(values),
        rule=rule,
        lower=lower,
    )


def _not_compared(structure: str, champion: Scores) -> str:
    if any(structure in scores for scores in champion.values()):
        return f"{structure} was not compared: no expert and neither model saw any in the validation set"
    return f"{structure} was not compared: nobody judged it in the validation set"


def _in_words(found: tuple[Comparison, ...]) -> str:
    failed = [c for c in found if not c.passed]
    if not failed:
        return "not worse on any structure"
    worse = [c.structure for c in failed if c.rule == "mean"]
    unproven = [c.structure for c in failed if c.rule == "bootstrap"]
    said = [f"worse on {', '.join(worse)}"] if worse else []
    said += [f"not shown to be no worse on {', '.join(unproven)}"] if unproven else []
    return "; ".join(said)


def _too_few(found: tuple[Comparison, ...]) -> tuple[str, ...]:
    few = min(c.patients for c in found)
    if few >= ENOUGH:
        return ()
    return (f"not enough patients for a statement: {few} of {ENOUGH}; the means decided",)

"""What the gate looks at beside the structures: subgroups, calibration, latency.

- **Subgroups** (site, ...; sequence, where there are several): on no subgroup of at least five patients may the mean
  difference of a structure be below -`subgroup_margin`. Smaller ones decide nothing: three patients differ by chance.
  Of fewer than three nothing is told: a verdict is for whoever sees the model, also in other projects.
- **Calibration**: the expected calibration error of the pipeline's probabilities may rise by `calibration_margin` at
  most. With fewer than six patients it only warns.
- **Latency**: seconds per slice, both models in turn on the same machine, may grow by the factor `latency_ratio` at
  most; from a quarter more on it warns.

A margin or ratio of 0 switches a check off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from irp_training.domain.datasets.dataset import Case
from irp_training.domain.datasets.subgroups import subgroups_of
from irp_training.domain.judging.bounds import Bounds
from irp_training.domain.judging.figures import FEWEST
from irp_training.domain.judging.gate import ENOUGH, Check, Subgroup, Verdict, judge, paired
from irp_training.domain.judging.patients import by_patient
from irp_training.domain.registry.examined import Examined

SUBGROUP = 5  # patients of a subgroup that has a bound
SLOWER = 1.25  # times the champion's seconds: worth a warning


def examine_candidate(
    candidate: Examined,
    champion: Examined,
    *,
    bounds: Bounds,
    dataset: str,
    structures: tuple[str, ...],
    cases: Mapping[str, Case],
) -> Verdict:
    """The whole verdict.

    Args:
        candidate: what was measured of it.
        champion: the same, on the same cases.
        bounds: what it must keep to.
        dataset: digest of the dataset whose validation split this is.
        structures: those that the champion segments.
        cases: by series.
    """
    patients = {series: case.patient for series, case in cases.items()}
    verdict = judge(
        candidate.scores,
        champion.scores,
        margin=bounds.margin,
        dataset=dataset,
        structures=structures,
        patients=patients,
        way=bounds.way,
    )
    subgroups = _subgroups(candidate, champion, bounds.subgroup_margin, structures, cases)
    judged = max((c.patients for c in verdict.comparisons), default=0)
    found = (_calibration(candidate, champion, bounds, judged), _latency(candidate, champion, bounds))
    return _with(verdict, subgroups, tuple(check for check in found if check is not None))


def _with(verdict: Verdict, subgroups: tuple[Subgroup, ...], checks: tuple[Check, ...]) -> Verdict:
    said = [] if verdict.passed else [verdict.reason]
    said += [f"worse on {s.structure} at {s.attribute} {s.value}" for s in subgroups if not s.passed]
    said += [f"{check.name} is out of its bound" for check in checks if not check.passed]
    return replace(
        verdict,
        passed=not said,
        reason="; ".join(said) or verdict.reason,
        subgroups=subgroups,
        checks=checks,
        warnings=(*verdict.warnings, *(f"{check.name}: {check.warning}" for check in checks if check.warning)),
    )


def _subgroups(
    candidate: Examined, champion: Examined, margin: float, structures: tuple[str, ...], cases: Mapping[str, Case]
) -> tuple[Subgroup, ...]:
    patients = {series: case.patient for series, case in cases.items()}
    members: dict[tuple[str, str], set[str]] = {}
    several = len({case.sequence_class for case in cases.values()}) > 1
    for series, case in cases.items():
        # A gain on one sequence pays for no loss on another.
        groups = subgroups_of(case) | ({"sequence": case.sequence_class} if several else {})
        for place in groups.items():
            members.setdefault(place, set()).add(series)
    found = []
    for (attribute, value), inside in sorted(members.items()):
        for structure in structures:
            pairs = paired(structure, candidate.scores, champion.scores)
            here = {one: pair for one, pair in pairs.items() if one in inside}
            if len({patients[series] for series in here}) >= FEWEST:
                found.append(_subgroup(attribute, value, structure, here, patients, margin))
    return tuple(found)


def _subgroup(
    attribute: str,
    value: str,
    structure: str,
    pairs: Mapping[str, tuple[float, float]],
    patients: Mapping[str, str],
    margin: float,
) -> Subgroup:
    after = by_patient(((series, pair[0]) for series, pair in pairs.items()), patients)
    before = by_patient(((series, pair[1]) for series, pair in pairs.items()), patients)
    mean_after, mean_before = sum(after.values()) / len(after), sum(before.values()) / len(before)
    bound = -margin if margin and len(after) >= SUBGROUP else None
    return Subgroup(
        attribute=attribute,
        value=value,
        structure=structure,
        patients=len(after),
        candidate=mean_after,
        champion=mean_before,
        difference=mean_after - mean_before,
        bound=bound,
        passed=bound is None or mean_after - mean_before >= bound,
    )


def _calibration(candidate: Examined, champion: Examined, bounds: Bounds, patients: int) -> Check | None:
    after, before = candidate.calibration_error, champion.calibration_error
    if after is None or before is None or not bounds.calibration_margin:
        return None
    within = after - before <= bounds.calibration_margin
    few = not within and patients < ENOUGH
    return Check(
        name="calibration",
        candidate=after,
        champion=before,
        change=after - before,
        bound=bounds.calibration_margin,
        passed=within or few,
        warning=f"out of its bound, on {patients} patients, which are too few to refuse" if few else "",
    )


def _latency(candidate: Examined, champion: Examined, bounds: Bounds) -> Check | None:
    after, before = candidate.seconds_per_slice, champion.seconds_per_slice
    if not after or not before or not bounds.latency_ratio:
        return None
    ratio = after / before
    return Check(
        name="latency",
        candidate=after,
        champion=before,
        change=ratio,
        bound=bounds.latency_ratio,
        passed=ratio <= bounds.latency_ratio,
        warning=f"{ratio:.2f} times the champion's seconds per slice" if ratio > SLOWER else "",
    )

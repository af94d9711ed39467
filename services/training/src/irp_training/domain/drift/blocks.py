"""Are a version's proposals corrected more than before? A test per block of patients, with a known rate of alarms.

The first REFERENCE patients of a version are what one expects of it. Each further block of BLOCK patients is compared
with them: one-sided Mann-Whitney U test of the Dice between proposal and accepted mask. An alarm is p < ALPHA, divided
by the number of groups (all, each site, each scanner) that are watched then. A block is tested when it is complete, and
never again: a further series of its patients, another mask, or a series that is deleted changes means, not its verdict.

Promised: where nothing has changed and patients are independent, a block of a group is a false alarm with a probability
of about ALPHA / groups (U's normal approximation). As a patient is in three groups (all, a site, a scanner) or fewer,
there is about one false alarm or fewer among all groups in 1 / ALPHA times BLOCK = 2,000 patients; those with several
sites or scanners add to it. That is the mean over versions: a version's blocks share its reference, so one whose first
patients happened to be easy has more, another fewer. Patients who are compared out of order, or who move up because
others were deleted, may count in two blocks, or in a block and the reference. What changes in a block after its test
raises no alarm: it is left to the blocks after it.
Source: Mann and Whitney 1947; Bonferroni.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from irp_training.domain.drift.correction import Correction
from irp_training.domain.run import ModelRef

REFERENCE = 30  # patients
BLOCK = 10  # patients
ALPHA = 0.005

By = Literal["all", "site", "scanner"]
Group = tuple[By, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What is known of one group.

    Attributes:
        cases: patients so far.
        reference: mean Dice of the first patients, as they are known now; 0 if there are none.
        reference_cases: how many these are: up to REFERENCE.
        recent: mean Dice of the newest complete block, or of what there is beyond the reference; 0 if nothing is.
        recent_cases: how many these are.
        p_value: of the newest block that was tested, when it was complete; 1 = none was, or nobody is left.
        drifted: that block was an alarm.
        alarmed_at: when the last alarm was raised; empty = never.
        tested_cases: patients that the newest tested block ended with; never fewer than before.
    """

    model: ModelRef
    by: By
    value: str
    cases: int
    reference: float = 0.0
    reference_cases: int = 0
    recent: float = 0.0
    recent_cases: int = 0
    p_value: float = 1.0
    drifted: bool = False
    alarmed_at: str = ""
    tested_cases: int = 0


def groups(corrections: Sequence[Correction]) -> list[Group]:
    """All, then every site and scanner that has one; those without a name are only in all."""
    found: list[Group] = [("all", "")]
    found += [("site", site) for site in dict.fromkeys(one.site for one in corrections) if site]
    found += [("scanner", scanner) for scanner in dict.fromkeys(one.scanner for one in corrections) if scanner]
    return found


def look(
    model: ModelRef, group: Group, corrections: Sequence[Correction], watched: int, before: Drift | None = None
) -> Drift:
    """What the corrections say of a group; the newest block is tested unless one that ended there or later was.

    Args:
        model: whose proposals they are of.
        group: which of them.
        corrections: all of the model's, in the order in which they were accepted.
        watched: number of groups: each is allowed its part of the false alarms.
        before: what was known of the group.
    """
    by, value = group
    dice = per_patient([one for one in corrections if by == "all" or getattr(one, by) == value])
    reference, later = dice[:REFERENCE], dice[REFERENCE:]
    blocks = len(later) // BLOCK
    newest = later[(blocks - 1) * BLOCK : blocks * BLOCK] if blocks else later
    found = Drift(
        model=model,
        by=by,
        value=value,
        cases=len(dice),
        reference=fmean(reference) if reference else 0.0,
        reference_cases=len(reference),
        recent=fmean(newest) if newest else 0.0,
        recent_cases=len(newest),
        alarmed_at=before.alarmed_at if before else "",
        tested_cases=before.tested_cases if before else 0,
    )
    complete = REFERENCE + blocks * BLOCK if blocks else 0
    if complete > found.tested_cases:
        p_value = worse(newest, reference)
        return replace(found, p_value=p_value, drifted=p_value < ALPHA / watched, tested_cases=complete)
    return replace(found, p_value=before.p_value, drifted=before.drifted) if before and dice else found


def per_patient(corrections: Sequence[Correction]) -> list[float]:
    """Mean agreement by patient, in the order in which patients came: series of one patient are not independent."""
    found: dict[tuple[str, str], list[float]] = {}
    for one in corrections:
        if one.agreement is not None:
            found.setdefault((one.project, one.patient), []).append(one.agreement)
    return [fmean(values) for values in found.values()]


def worse(recent: Sequence[float], reference: Sequence[float]) -> float:
    """Probability of a block as low as this one if nothing had changed."""
    # A room that begins need not wait a second for it.
    from scipy import stats

    return float(stats.mannwhitneyu(recent, reference, alternative="less").pvalue)

"""A project's rules about pixels: which images are proven clean, which get a region masked, which a person sees.

Asked with the original header. The first rule whose conditions hold decides; without one, suspects are kept apart and
everything else is taken. Nothing is decoded here: whoever asks masks the regions. Source: PS3.15 E.3.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydicom.dataset import Dataset

from irp_deid.errors import RefusedByRule
from irp_deid.profile import Profile
from irp_deid.refusals import refuse_unknown
from irp_deid.sequences import matching_sequences
from irp_deid.suspicion import Kind, Suspicion, said_burned_in, suspicion_of

Region = tuple[int, int, int, int]
"""(x, y, width, height) in pixels: x counts columns from the left, y rows from the top, both from 0."""

BY_RULE = "RULE"  # reason of an instance that no suspicion keeps apart, but a rule of the project


class Fate(StrEnum):
    """What becomes of an instance's pixels."""

    TAKE = "take"
    MASK = "mask"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class PixelVerdict:
    """What becomes of an instance's pixels, and why.

    Attributes:
        fate: what is to be done.
        kind: what a person would look at.
        reason: why it is kept apart, as a reason of the error tree, or `BY_RULE`; empty for the other fates.
        regions: to be masked in every frame.
    """

    fate: Fate
    kind: Kind = Kind.IMAGE
    reason: str = ""
    regions: tuple[Region, ...] = ()

    def profile(self, chosen: Profile) -> Profile:
        """What the engine is to follow; texts of a report that is kept apart are cleaned in any case."""
        return chosen.with_suspects(*(("113103",) if self.kind is Kind.REPORT else ()))


def judge_pixels(dataset: Dataset, profile: Profile, rules: Sequence[Mapping[str, Any]]) -> PixelVerdict:
    """Decide, by the rules in `pixels` of a project's `deidentification`.

    Documents and reports are beyond rules on pixels: they can be refused by one, but not proven clean or masked. Nor
    does a rule overrule a file that says YES to Burned In Annotation, unless it asks for that itself.

    Raises:
        InstanceRefused: never taken, or a rule says so.
    """
    refuse_unknown(dataset)
    suspicion = suspicion_of(dataset, profile)
    matched = matching_sequences(rules, dataset)
    rule = rules[matched[0]] if matched else {}
    then = rule.get("then", "")
    if then == "refuse":
        raise suspicion.error if suspicion else RefusedByRule
    if suspicion and suspicion.kind is not Kind.IMAGE:
        return _apart(suspicion)
    if isinstance(then, Mapping):
        return PixelVerdict(Fate.MASK, regions=tuple(_region(one) for one in then["mask"]))
    if then == "quarantine":
        return _apart(suspicion)
    proven = then == "clean" and (said_burned_in(dataset) != "YES" or "BurnedInAnnotation" in rule["when"])
    return PixelVerdict(Fate.TAKE) if proven or suspicion is None else _apart(suspicion)


def _apart(suspicion: Suspicion | None) -> PixelVerdict:
    if suspicion is None:
        return PixelVerdict(Fate.QUARANTINE, reason=BY_RULE)
    return PixelVerdict(Fate.QUARANTINE, suspicion.kind, suspicion.error.reason)


def _region(said: Sequence[int]) -> Region:
    x, y, width, height = (int(number) for number in said)
    return x, y, width, height

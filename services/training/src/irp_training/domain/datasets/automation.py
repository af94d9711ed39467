"""What a project wants to be learnt by itself. Absent means nothing happens by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from irp_training.domain.datasets.inclusion import EVERYTHING, Rules
from irp_training.domain.datasets.schedule import Schedule


def proposing_container(document: Mapping[str, Any], sequence_class: str) -> str:
    """`automation.containers[class]` of the configuration: "name" or "name@version"; empty = none proposes."""
    named = (document.get("automation") or {}).get("containers") or {}
    return str(named.get(sequence_class) or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainByItself:
    """`automation.train` of the configuration: when, from which base, to which model.

    Attributes:
        model: that learns; empty = none is named, and nothing begins.
        after_masks: a run begins after so many accepted masks; 0 = not by number.
        schedule: a run begins by the clock, if a mask was accepted since the last one; None = not by the clock.
        least_patients: nothing begins before so many patients have an accepted mask.
        paused: nothing begins, and what is accepted is counted on.
        recipe: JSON: keys of a recipe that differ from the defaults.
        rules: which masks count.
    """

    after_masks: int
    base: str
    model: str
    recipe: str = ""
    schedule: Schedule | None = None
    least_patients: int = 0
    paused: bool = False
    rules: Rules = EVERYTHING

    @classmethod
    def from_configuration(cls, document: Mapping[str, Any]) -> TrainByItself | None:
        """What shall begin by itself, or None."""
        wish = cls.declared(document)
        return wish if wish and wish.model else None

    @classmethod
    def declared(cls, document: Mapping[str, Any]) -> TrainByItself | None:
        """What a configuration says, also one of before that names no model; None = nothing."""
        wish = (document.get("automation") or {}).get("train")
        if not wish:
            return None
        after_masks, schedule = int(wish.get("after_masks") or 0), Schedule.from_wish(wish)
        if after_masks < 1 and schedule is None:
            return None
        return cls(
            after_masks=after_masks,
            base=str(wish.get("base") or ""),
            model=str(wish.get("model") or ""),
            recipe=json.dumps(wish.get("recipe") or {}, sort_keys=True),
            schedule=schedule,
            least_patients=int(wish.get("least_patients") or 0),
            paused=bool(wish.get("paused")),
            rules=Rules.from_json(wish.get("include") or {}),
        )

    def due(self, masks_since: int, patients: int) -> bool:
        """True when enough masks were accepted since the last run that began by itself, of enough patients."""
        return 0 < self.after_masks <= masks_since and self._may_begin(patients)

    def due_by_the_clock(self, masks_since: int, patients: int) -> bool:
        """True when its time has come and there is something new; the same masks would teach the same again."""
        return masks_since > 0 and self._may_begin(patients)

    def _may_begin(self, patients: int) -> bool:
        return not self.paused and patients >= self.least_patients

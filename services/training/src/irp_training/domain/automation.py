"""What a project wants to be learnt by itself. Absent means nothing happens by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainByItself:
    """`automation.train` of the configuration: after so many accepted masks, from this base, to this model."""

    after_masks: int
    base: str
    model: str
    recipe: str = ""  # JSON: keys of a recipe that differ from the defaults

    @classmethod
    def from_configuration(cls, document: Mapping[str, Any]) -> TrainByItself | None:
        """The declaration, or None."""
        wish = (document.get("automation") or {}).get("train")
        if not wish or not wish.get("model") or int(wish.get("after_masks", 0)) < 1:
            return None
        return cls(
            after_masks=int(wish["after_masks"]),
            base=str(wish.get("base") or ""),
            model=str(wish["model"]),
            recipe=json.dumps(wish.get("recipe") or {}, sort_keys=True),
        )

    def due(self, masks_since: int) -> bool:
        """True when enough masks were accepted since the last run that began by itself."""
        return masks_since >= self.after_masks

"""What a recipe left open and its training cases decided: the values, why, and by what numbers. Kept with the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from irp_training.domain.recipes.recipe import OPEN, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A recipe's open keys, closed.

    Attributes:
        fingerprint: see `Fingerprint.to_json`.
        chosen: the value of every key that may be open, in the recipe's words.
        reasons: why, one sentence for each of them.
    """

    fingerprint: Mapping[str, Any]
    chosen: Mapping[str, Any]
    reasons: Mapping[str, str]

    def close(self, recipe: Recipe) -> Recipe:
        """The recipe with every open key closed."""
        values: dict[str, Any] = {key: self.chosen[key] for key in OPEN}
        closed: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return replace(recipe, **closed)

    def to_json(self) -> dict[str, Any]:
        """As it is kept and shown."""
        chosen = {key: list(value) if isinstance(value, tuple) else value for key, value in self.chosen.items()}
        return {"fingerprint": dict(self.fingerprint), "chosen": chosen, "reasons": dict(self.reasons)}

    def to_text(self) -> str:
        """The same as canonical JSON."""
        return json.dumps(self.to_json(), sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> Configured:
        """Read back what `to_text` wrote."""
        return cls(**json.loads(text))

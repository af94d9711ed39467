"""How a mask came to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

SOFTWARE = "annotation/0.1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """One immutable model version: name, version, SHA-256 of the bundle."""

    name: str
    version: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Who made it, when, with what, from what.

    Attributes:
        actor: user, or the room's name for automatic work.
        at: RFC 3339, UTC.
        software: room and version.
        model: the model that made it, if one did.
        inputs: SHA-256 by role.
        parameters: further facts.
    """

    actor: str
    at: str
    software: str = SOFTWARE
    model: ModelRef | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)

    def with_parameters(self, **more: str) -> Provenance:
        """The same, with further facts."""
        return replace(self, parameters={**self.parameters, **more})

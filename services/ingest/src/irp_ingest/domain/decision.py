"""What a person may decide about an instance in quarantine, and what follows: decide purely, act elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from irp_deid.pixels import Region
from irp_deid.suspicion import Kind

from irp_ingest.domain.errors import DecisionNotValid
from irp_ingest.domain.mask import MAX_REGIONS, boxed


class State(StrEnum):
    """Where an instance in quarantine stands: it waits, a decision is being carried out, or that is done."""

    WAITING = "waiting"
    RELEASING = "releasing"
    MASKING = "masking"
    DISCARDING = "discarding"
    RELEASED = "released"
    MASKED = "masked"
    DISCARDED = "discarded"


FOLLOWS = {"release": State.RELEASING, "mask": State.MASKING, "discard": State.DISCARDING}
DONE = {
    State.RELEASING: State.RELEASED,
    State.MASKING: State.MASKED,
    State.DISCARDING: State.DISCARDED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A person's decision.

    Attributes:
        action: "release", "mask" or "discard".
        regions: to be masked.
    """

    action: str
    regions: tuple[Region, ...] = ()

    def __post_init__(self) -> None:
        """Only what could be carried out on something.

        Raises:
            DecisionNotValid: an unknown action, or regions where none belong.
        """
        if self.action not in FOLLOWS or bool(self.regions) != (self.action == "mask"):
            raise DecisionNotValid
        if len(self.regions) > MAX_REGIONS:
            raise DecisionNotValid

    @property
    def follows(self) -> State:
        """The state in which the decision is being carried out."""
        return FOLLOWS[self.action]

    def stands_as(self, state: State, regions: Sequence[Sequence[int]]) -> bool:
        """True if this very decision was made before."""
        same = state in {self.follows, DONE[self.follows]}
        return same and [tuple(region) for region in regions] == list(self.regions)


def require_possible(decision: Decision, kind: str, rows: int, columns: int) -> None:
    """Raise if an instance of this kind and size cannot be treated so.

    Raises:
        DecisionNotValid: a mask on what is no image.
        RegionOutside: a region has no pixel in the image.
    """
    if decision.regions and kind != Kind.IMAGE:
        raise DecisionNotValid("only images can be masked")
    for region in decision.regions:
        boxed(region, rows, columns)

"""Which way a segmentation may go. The table is the rule."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from irp_annotation.domain.errors import StateNotReachable, UnknownState


class State(enum.StrEnum):
    """Where a version stands."""

    PROPOSED = "proposed"  # by a model
    DRAFT = "draft"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


REACHABLE: Mapping[State, frozenset[State]] = {
    State.PROPOSED: frozenset({State.SUBMITTED, State.ACCEPTED, State.REJECTED}),
    State.DRAFT: frozenset({State.SUBMITTED}),
    State.SUBMITTED: frozenset({State.ACCEPTED, State.REJECTED}),
    State.ACCEPTED: frozenset(),
    State.REJECTED: frozenset(),
}
BEGINNINGS = frozenset({State.DRAFT, State.SUBMITTED, State.ACCEPTED})  # of what people send in


def to_state(text: str) -> State:
    """A state by its name.

    Raises:
        UnknownState: no state is called that.
    """
    try:
        return State(text)
    except ValueError:
        raise UnknownState from None


def beginning(text: str) -> State:
    """The state of a new version.

    Raises:
        UnknownState: new versions cannot begin there.
    """
    state = to_state(text)
    if state not in BEGINNINGS:
        raise UnknownState(f"a new version cannot begin as {state}")
    return state


def moved(present: State, asked: State) -> State:
    """The state after a review; asking for the present one again changes nothing.

    Raises:
        StateNotReachable: the table has no such step.
    """
    if asked is not present and asked not in REACHABLE[present]:
        raise StateNotReachable(f"a segmentation that is {present} cannot become {asked}")
    return asked

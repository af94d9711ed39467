"""What happened to a model, oldest first: from its versions, candidacies and promotions, which are each kept once.

Each kind has its own count, which says what came first; between kinds the clocks of the replicas do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from irp_training.domain.registry.candidacy import Candidacy
from irp_training.domain.registry.registry import Model, Promotion, champion
from irp_training.domain.registry.serving import EARLIEST, Serving, in_order, moment

Kind = Literal[
    "registered", "judged", "refused", "waits", "approved", "rejected", "outdated", "promoted", "rolled-back", "serving"
]
ORDER: tuple[Kind, ...] = (
    *("registered", "judged", "refused", "waits", "approved", "rejected", "outdated"),
    *("promoted", "rolled-back", "serving"),
)  # of what happened at the same time


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One thing that happened.

    Attributes:
        at: RFC 3339 UTC.
        kind: what; "outdated": it was to be promoted, but the champion had changed.
        version: that it happened to; of "serving" the pinned one, 0 = none.
        before: champion before, where it changed; None = there was none, or it did not change.
        actor: who.
        reason: why, in plain words.
        gate: the verdict as JSON, where the gate was asked.
        run: that made the version.
    """

    at: str
    kind: Kind
    version: int
    actor: str
    before: int | None = None
    reason: str = ""
    gate: str = ""
    run: str = ""


def chronicle(
    versions: Iterable[Model],
    candidacies: Iterable[Candidacy],
    promotions: Sequence[Promotion],
    servings: Sequence[Serving] = (),
    until: datetime | None = None,
) -> list[Happened]:
    """Everything up to a time (None = now), oldest first; nothing stands before its version was registered."""
    registered = [_registered(model) for model in versions]
    there = {one.version: moment(one.at) for one in registered}
    threads = [registered[place : place + 1] for place in range(len(registered))]
    threads += [_stood(candidacy) for candidacy in candidacies]
    threads += [_crowned(promotions), _said(servings)]
    found = [
        (max(when, there.get(one.version, EARLIEST)), ORDER.index(one.kind), one)
        for thread in threads
        for when, one in in_order(thread)
    ]
    found.sort(key=lambda one: one[:2])
    return [one for when, _, one in found if until is None or when <= until]


def _registered(model: Model) -> Happened:
    run = model.run[1] if model.run else ""
    return Happened(at=model.created_at, kind="registered", version=model.ref.version, actor=model.actor, run=run)


def _stood(candidacy: Candidacy) -> list[Happened]:
    """What the gate said, and what the second person said."""
    asked: Kind = "judged"
    if candidacy.state == "refused" or (candidacy.state == "outdated" and not candidacy.decided_by):
        asked = candidacy.state
    elif candidacy.state == "pending" or candidacy.decided_by:
        asked = "waits"
    version = candidacy.model.version
    found = [
        Happened(
            at=candidacy.asked_at,
            kind=asked,
            version=version,
            actor=candidacy.asked_by,
            reason=candidacy.reason,
            gate=candidacy.gate,
            run=candidacy.run,
        )
    ]
    if candidacy.decided_by:
        kind: Kind = "approved" if candidacy.state == "promoted" else candidacy.state  # type: ignore[assignment]
        by, at = candidacy.decided_by, candidacy.decided_at
        found.append(Happened(at=at, kind=kind, version=version, actor=by, reason=candidacy.comment))
    return found


def _crowned(promotions: Sequence[Promotion]) -> list[Happened]:
    found: list[Happened] = []
    past: list[Promotion] = []
    for entry in sorted(promotions, key=lambda one: one.sequence):
        kind: Kind = "promoted" if entry.kind == "promote" else "rolled-back"
        found.append(
            Happened(
                at=entry.at,
                kind=kind,
                version=entry.version,
                actor=entry.actor,
                before=champion(past),
                reason=entry.reason,
            )
        )
        past.append(entry)
    return found


def _said(servings: Sequence[Serving]) -> list[Happened]:
    return [
        Happened(at=one.at, kind="serving", version=one.pin or 0, actor=one.actor, reason=one.words)
        for one in sorted(servings, key=lambda one: one.revision)
    ]

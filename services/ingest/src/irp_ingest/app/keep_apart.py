"""An instance that may name somebody waits, encrypted, until a person has looked at it: no search, volume or fact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from irp_deid.pixels import Region
from irp_kernel import ObjectRef

from irp_ingest.app.outcome import Outcome, treated
from irp_ingest.app.ports import ProjectAt, SealedObjects
from irp_ingest.domain.decision import Decision, State
from irp_ingest.domain.errors import Quarantined, QuarantineDiscarded, QuarantineFull, failure_reason
from irp_ingest.domain.intake import Intake


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """An instance in quarantine, as the index holds it.

    Attributes:
        project: its id.
        id: SOP Instance UID after de-identification.
        study_uid, series_uid, sop_class, patient, site: after de-identification.
        modality, kind, reason, rows, columns, frames: see domain.doubt.Doubt.
        fingerprint, candidates: what only the original said; see domain.intake.Intake.
        arrived_at, decided_at: ISO 8601; empty = not yet.
        state: waits, or what was decided and done.
        decided_by, regions: of the decision.
        times: how often it came in here: after it was discarded, another file under the same UID may come.
        object: encrypted; None once the decision is carried out.
    """

    project: str
    id: str
    study_uid: str
    series_uid: str
    sop_class: str
    patient: str
    site: str
    modality: str
    kind: str
    reason: str
    rows: int
    columns: int
    frames: int
    fingerprint: str
    candidates: list[dict[str, Any]]
    arrived_at: str
    state: State
    decided_by: str
    decided_at: str
    regions: Sequence[Region]
    times: int
    object: ObjectRef | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of an instance that comes in.

    Attributes:
        state: in quarantine, None if it is not known there.
        stored_sha256: of the stored file, if the index holds the instance.
    """

    state: State | None = None
    stored_sha256: str = ""


class Quarantine(Protocol):
    """Rows of the quarantine."""

    async def standing(self, project: str, intake: Intake) -> Standing:
        """Whether it came before; ContentDiffers if another file did, unless that one was discarded."""
        ...

    async def waiting(self, project: str) -> int:
        """How many instances wait for a decision."""
        ...

    async def enter(self, project: str, intake: Intake, object: ObjectRef) -> None:
        """Let it wait; twice is once."""
        ...

    async def find(self, project: str, id: str) -> Apart:
        """One row; QuarantineUnknown if there is none."""
        ...

    async def decide(self, project: ProjectAt, apart: Apart, decision: Decision, by: str) -> Apart:
        """Write down a decision about what waits, and queue what is to be done; QuarantineDecided if none waits."""
        ...

    async def is_stored(self, apart: Apart) -> bool:
        """True if the index holds the instance that this one became."""
        ...

    async def settle(self, apart: Apart) -> None:
        """The decision is carried out and the encrypted object gone."""
        ...

    async def reopen(self, apart: Apart) -> None:
        """The decision could not be carried out: it waits again."""
        ...


class KeepApart:
    """Let an instance wait for a person."""

    def __init__(self, rows: Quarantine, sealed: SealedObjects, *, limit: int) -> None:
        self._rows, self._sealed, self._limit = rows, sealed, limit

    async def __call__(self, intake: Intake, project: ProjectAt) -> Outcome:
        """Durable when this returns: "stored" if a person released it before, else refused as waiting.

        Raises:
            QuarantineFull: `limit` instances of the project wait.
            QuarantineDiscarded: a person discarded it before.
            ContentDiffers: another file with its SOP Instance UID is stored or waits.
        """
        known = await self._rows.standing(project.id, intake)
        if known.stored_sha256:
            kept = treated(replace(intake, sha256=known.stored_sha256), again=True)
            return replace(Outcome.of(intake), repeated=True, treated=kept)
        if known.state in {State.DISCARDING, State.DISCARDED}:
            raise QuarantineDiscarded
        if known.state is None:
            await self._enter(intake, project.id)
        waits = Quarantined()
        return replace(Outcome.of(intake), failure=failure_reason(waits), reason=waits.reason)

    async def _enter(self, intake: Intake, project: str) -> None:
        if await self._rows.waiting(project) >= self._limit:
            raise QuarantineFull(limit=self._limit)
        ref = await self._sealed.put(intake.data, project=project, id=intake.sop_uid)
        await self._rows.enter(project, intake, ref)

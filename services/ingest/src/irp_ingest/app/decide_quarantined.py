"""A person decides about an instance in quarantine: the decision is durable at once, what follows is queued with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from irp_deid.pixels import Region
from irp_kernel.errors import DataLoss

from irp_ingest.app.keep_apart import Apart, Quarantine
from irp_ingest.app.ports import ProjectAt, SealedObjects
from irp_ingest.domain.decision import Decision, State, require_possible
from irp_ingest.domain.errors import QuarantineDecided


class Masks(Protocol):
    """The worker that blacks regions out."""

    async def mask(self, file: bytes, regions: Sequence[Region]) -> bytes:
        """See domain.mask.masked."""
        ...


class DecideQuarantined:
    """Check and write down a decision; the same decision again changes nothing."""

    def __init__(self, rows: Quarantine, sealed: SealedObjects, masks: Masks) -> None:
        self._rows, self._sealed, self._masks = rows, sealed, masks

    async def __call__(self, project: ProjectAt, id: str, decision: Decision, by: str) -> Apart:
        """The row with the decision; a job carries it out.

        Raises:
            QuarantineUnknown: there is no such instance.
            QuarantineDecided: somebody decided otherwise.
            DecisionNotValid, RegionOutside, CannotMask: it could not be carried out.
        """
        apart = await self._rows.find(project.id, id)
        if decision.stands_as(apart.state, apart.regions):
            return apart
        if apart.state is not State.WAITING:
            raise QuarantineDecided
        require_possible(decision, apart.kind, apart.rows, apart.columns)
        if decision.regions and apart.object is not None:  # to find out now that it cannot be decoded
            await self._masks.mask(await opened(self._sealed, apart), decision.regions)
        return await self._rows.decide(project, apart, decision, by)


async def opened(sealed: SealedObjects, apart: Apart) -> bytes:
    """The file of an instance that waits.

    Raises:
        DataLoss: its object is gone.
    """
    if apart.object is None:
        raise DataLoss("what was decided about is not kept")
    return await sealed.get(apart.object, project=apart.project, id=apart.id)

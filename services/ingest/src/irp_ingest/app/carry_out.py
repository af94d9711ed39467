"""A decision about an instance in quarantine is carried out, on the same road that any instance takes into the index.

May run twice, and may be killed between any two steps: object and row of a released instance are written once, and
the encrypted object goes before the row says so.
"""

from __future__ import annotations

from irp_deid import EDITION
from irp_deid.report import Report

from irp_ingest.app.decide_quarantined import Masks, opened
from irp_ingest.app.keep_apart import Apart, Quarantine
from irp_ingest.app.ports import Configurations, ProjectAt, SealedObjects
from irp_ingest.app.store_instance import StoreInstance
from irp_ingest.domain.decision import DONE, State
from irp_ingest.domain.intake import read_clean


class CarryOut:
    """Store or discard what was decided about."""

    def __init__(
        self,
        rows: Quarantine,
        sealed: SealedObjects,
        masks: Masks,
        store: StoreInstance,
        configurations: Configurations,
    ) -> None:
        self._rows, self._sealed, self._masks = rows, sealed, masks
        self._store, self._configurations = store, configurations

    async def __call__(self, project: ProjectAt, id: str) -> None:
        """Nothing is left to be done when this returns; nothing happens if nothing was."""
        apart = await self._rows.find(project.id, id)
        if apart.state not in DONE:
            return
        if apart.state is not State.DISCARDING and not await self._stored(project, apart):
            await self._rows.reopen(apart)
            return
        if apart.object is not None:
            await self._sealed.remove(apart.object)
        await self._rows.settle(apart)

    async def _stored(self, project: ProjectAt, apart: Apart) -> bool:
        """False if another instance has its UID by now."""
        if await self._rows.is_stored(apart):  # before this was killed; its encrypted object may be gone
            return True
        file = await opened(self._sealed, apart)
        if apart.regions:
            file = await self._masks.mask(file, apart.regions)
        nothing_done = Report(edition=EDITION, options=(), actions={}, removed=())
        intake = read_clean(file, apart.fingerprint, apart.site, apart.candidates, nothing_done)
        document = await self._configurations.read(project.configuration)
        outcome = await self._store.keep(intake, project, float(document["series_quiet_s"]))
        return not outcome.failure

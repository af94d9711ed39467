"""Facts that annotation reads."""

from __future__ import annotations

from functools import partial

from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.inference.v1.events_pb2 import MaskProposed
from irp.ingest.v1.events_pb2 import SeriesStored
from irp.training.v1.events_pb2 import ContainerMaskProposed
from irp_chassis.wire import object_ref_from_proto

from irp_annotation.adapters.db import CatalogueRows
from irp_annotation.adapters.wire import project_from_proto, proposal_from_proto, series_from_proto
from irp_annotation.app.keep_proposal import KeepProposal
from irp_annotation.app.remember_project import ProjectStructures
from irp_annotation.app.remember_series import RememberSeries


class Facts:
    """Handlers, one per kind of fact."""

    def __init__(
        self, structures: ProjectStructures, remember: RememberSeries, keep: KeepProposal, catalogue: CatalogueRows
    ) -> None:
        self._structures, self._remember, self._keep = structures, remember, keep
        self._catalogue = catalogue

    async def on_project_configured(self, fact: ProjectConfigured) -> None:
        """Learn what the project draws before it is needed."""
        await self._structures(project_from_proto(fact.project))

    async def on_series_stored(self, fact: SeriesStored) -> None:
        """Remember the series and its grid, unless it was deleted and its volume is no longer there to be read."""
        if await self._catalogue.was_deleted(fact.project.id, fact.series.series_uid, fact.aggregate.version):
            return
        volume = object_ref_from_proto(fact.series.volume)
        await self._remember(volume, partial(series_from_proto, fact))

    async def on_mask_proposed(self, fact: MaskProposed | ContainerMaskProposed) -> None:
        """Keep the proposal."""
        await self._keep(proposal_from_proto(fact))

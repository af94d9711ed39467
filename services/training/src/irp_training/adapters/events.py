"""Facts that training reads: which masks were accepted, which series are good, how projects are configured."""

from __future__ import annotations

from irp.annotation.v1.events_pb2 import MaskAccepted
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.inference.v1.events_pb2 import MaskProposed
from irp.ingest.v1.events_pb2 import ClinicalRecorded
from irp.quality.v1.events_pb2 import QualityRated, SeriesAssessed

from irp_training.adapters.wire import case_from_proto, project_from_proto
from irp_training.adapters.wire_watching import proposal_from_proto
from irp_training.app.notice_correction import NoticeCorrection
from irp_training.app.remember_clinical import RememberClinical
from irp_training.app.remember_mask import RememberMask
from irp_training.app.remember_project import RememberProject
from irp_training.app.remember_verdict import RememberVerdict


class Events:
    """One method per fact."""

    def __init__(
        self,
        masks: RememberMask,
        verdicts: RememberVerdict,
        projects: RememberProject,
        clinical: RememberClinical,
        corrections: NoticeCorrection,
    ) -> None:
        self._masks, self._verdicts, self._projects, self._clinical = masks, verdicts, projects, clinical
        self._corrections = corrections

    async def on_mask_accepted(self, fact: MaskAccepted) -> None:
        """Remember a case, and what became of proposals for it."""
        await self._masks(project_from_proto(fact.project), case_from_proto(fact), at=fact.provenance.at)

    async def on_mask_proposed(self, fact: MaskProposed) -> None:
        """Remember what a model proposed."""
        await self._corrections.proposed(proposal_from_proto(fact))

    async def on_series_assessed(self, fact: SeriesAssessed) -> None:
        """Remember quality's verdict."""
        await self._verdicts(fact.project.id, fact.aggregate.id, fact.aggregate.version, fact.verdict)

    async def on_project_configured(self, fact: ProjectConfigured) -> None:
        """Remember the newest configuration."""
        await self._projects(project_from_proto(fact.project))

    async def on_clinical_recorded(self, fact: ClinicalRecorded) -> None:
        """Remember a patient's values by their hash."""
        values: dict[str, float | str] = {**fact.values, **fact.categories}
        await self._clinical(fact.project.id, fact.patient, fact.aggregate.version, values)

    async def on_quality_rated(self, fact: QualityRated) -> None:
        """Ratings feed quality's own models; a dataset follows the verdict, so nothing is kept here."""

"""Facts that training reads: which masks were accepted, which series are good, how projects are configured."""

from __future__ import annotations

from dataclasses import replace

import structlog
from irp.annotation.v1.events_pb2 import MaskAccepted
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.inference.v1.events_pb2 import MaskProposed
from irp.ingest.v1.events_pb2 import ClinicalRecorded
from irp.quality.v1.events_pb2 import QualityRated, SeriesAssessed
from irp_kernel.errors import SeriesUnknown

from irp_training.adapters.container_wire import target_from_proto
from irp_training.adapters.wire import case_from_proto, project_from_proto
from irp_training.adapters.wire_watching import proposal_from_proto
from irp_training.app.notice_correction import NoticeCorrection
from irp_training.app.propose_with_container import ProposeWithContainer
from irp_training.app.remember_clinical import RememberClinical
from irp_training.app.remember_mask import RememberMask
from irp_training.app.remember_project import RememberProject
from irp_training.app.remember_verdict import RememberVerdict
from irp_training.domain.container_errors import ContainerNotAccepted, ContainerUnknown

_log = structlog.get_logger()


class Events:
    """One method per fact."""

    def __init__(
        self,
        masks: RememberMask,
        verdicts: RememberVerdict,
        projects: RememberProject,
        clinical: RememberClinical,
        corrections: NoticeCorrection,
        propose: ProposeWithContainer,
    ) -> None:
        self._masks, self._verdicts, self._projects, self._clinical = masks, verdicts, projects, clinical
        self._corrections, self._propose = corrections, propose

    async def on_mask_accepted(self, fact: MaskAccepted) -> None:
        """Remember a case, and what became of proposals for it."""
        await self._masks(project_from_proto(fact.project), case_from_proto(fact), at=fact.provenance.at)

    async def on_mask_proposed(self, fact: MaskProposed) -> None:
        """Remember what a model proposed."""
        await self._corrections.proposed(proposal_from_proto(fact))

    async def on_series_assessed(self, fact: SeriesAssessed) -> None:
        """Have a container propose where the project says so, and remember quality's verdict."""
        project, target = project_from_proto(fact.project), target_from_proto(fact.series, fact.aggregate.version)
        try:
            await self._propose(project, fact.series.sequence_class, target)
        except (ContainerUnknown, ContainerNotAccepted) as error:
            _log.warning("no_container_proposes", project=project.id, reason=error.reason)
        except SeriesUnknown:
            _log.info("series_deleted_before_proposal", project=project.id)
        await self._verdicts(fact.project.id, fact.aggregate.id, fact.aggregate.version, fact.verdict)

    async def on_project_configured(self, fact: ProjectConfigured) -> None:
        """Remember the newest configuration."""
        await self._projects(replace(project_from_proto(fact.project), by_admin=fact.by_admin))

    async def on_clinical_recorded(self, fact: ClinicalRecorded) -> None:
        """Remember a patient's values by their hash."""
        values: dict[str, float | str] = {**fact.values, **fact.categories}
        await self._clinical(fact.project.id, fact.patient, fact.aggregate.version, values)

    async def on_quality_rated(self, fact: QualityRated) -> None:
        """Ratings feed quality's own models; a dataset follows the verdict, so nothing is kept here."""

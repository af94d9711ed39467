"""Doors to what is found of versions: precision, reports, validations, drift."""

from __future__ import annotations

from typing import Any

from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.auth import ADMIN
from irp_chassis.rpc import caller

from irp_training.adapters.desk import Desk, judging
from irp_training.adapters.wire import model_ref_to_proto, report_to_proto, trial_to_proto
from irp_training.adapters.wire_watching import drift_to_proto, validation_to_proto
from irp_training.domain.validations.certificate import Validation


class JudgedDoors(Desk):
    """What is measured of versions, and whether experts agree with them."""

    async def GuardPrecision(self, request: pb.GuardPrecisionRequest, context: Any) -> pb.GuardPrecisionResponse:  # noqa: N802
        """Queue the trial of a reduced precision."""
        caller().require_role("owner")
        project = judging(request)
        actor = caller().subject
        trial = await self._do.ask_precision(request.name, request.version, request.precision, actor, project)
        return pb.GuardPrecisionResponse(trial=trial_to_proto(trial))

    async def GetPrecision(self, request: pb.GetPrecisionRequest, context: Any) -> pb.GetPrecisionResponse:  # noqa: N802
        """How it was judged, or how far that is."""
        caller()
        trial = await self._store.trial(request.name, request.version, request.precision)
        return pb.GetPrecisionResponse(trial=trial_to_proto(trial))

    async def AskReport(self, request: pb.AskReportRequest, context: Any) -> pb.AskReportResponse:  # noqa: N802
        """Queue the appraisal of a version."""
        caller().require_role("owner")
        project = judging(request)
        actor = caller().subject
        report = await self._do.ask_report(request.name, request.version, actor, project)
        return pb.AskReportResponse(report=report_to_proto(report))

    async def GetReport(self, request: pb.GetReportRequest, context: Any) -> pb.GetReportResponse:  # noqa: N802
        """What was found, or how far that is."""
        caller()
        report = await self._store.appraisal(request.name, request.version)
        return pb.GetReportResponse(report=report_to_proto(report))

    async def ValidateModel(self, request: pb.ValidateModelRequest, context: Any) -> pb.ValidateModelResponse:  # noqa: N802
        """Queue a validation; whose patients judge it may be another project's."""
        caller().require_role("owner")
        project = judging(request)
        actor = caller().subject
        found = await self._do.ask_validation(
            request.name, request.version, actor, project, request.split, request.dataset
        )
        return pb.ValidateModelResponse(validation=_shown(found))

    async def GetValidation(self, request: pb.GetValidationRequest, context: Any) -> pb.GetValidationResponse:  # noqa: N802
        """How far it is, and where its report lies."""
        found = await self._store.validation(request.name, request.version, request.id)
        return pb.GetValidationResponse(validation=_shown(found))

    async def GetDrift(self, request: pb.GetDriftRequest, context: Any) -> pb.GetDriftResponse:  # noqa: N802
        """Whether proposals are corrected more than before."""
        caller().require_role("owner")
        return pb.GetDriftResponse(drifts=[drift_to_proto(one) for one in await self._store.drifts(request.name)])


def _shown(found: Validation) -> pb.Validation:
    """What is known of it, to admins and within the project whose patients judge; others are told whose they are."""
    asking = caller()
    if ADMIN in asking.roles or asking.project == found.project:
        return validation_to_proto(found)
    return pb.Validation(id=found.id, model=model_ref_to_proto(found.model), project=found.project)

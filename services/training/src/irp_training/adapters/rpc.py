"""TrainingService on the wire: messages in, verbs called, messages out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from irp.common.v1 import types_pb2
from irp.training.v1 import training_service_pb2 as pb
from irp.training.v1 import training_service_pb2_grpc as pb_grpc
from irp_chassis.rpc import caller
from irp_kernel.errors import InvalidArgument, TooLarge
from irp_kernel.ids import Alias

from irp_training.adapters.wire import (
    happened_to_proto,
    model_to_proto,
    project_from_proto,
    report_to_proto,
    run_to_proto,
    trial_to_proto,
)
from irp_training.adapters.wire_datasets import dataset_to_proto, policy_to_proto, rules_from_proto
from irp_training.adapters.wire_watching import drift_to_proto, overlay_to_proto, validation_to_proto
from irp_training.app.ask_precision import AskPrecision
from irp_training.app.ask_report import AskReport
from irp_training.app.ask_validation import AskValidation
from irp_training.app.cancel_run import CancelRun
from irp_training.app.create_dataset import CreateDataset
from irp_training.app.decide_promotion import DecidePromotion
from irp_training.app.describe_dataset import DescribeDataset
from irp_training.app.export_run import ExportRun
from irp_training.app.ports import Project, Store
from irp_training.app.prioritise_run import PrioritiseRun
from irp_training.app.promote_model import PromoteModel
from irp_training.app.register_model import RegisterModel
from irp_training.app.rollback_model import RollbackModel
from irp_training.app.start_run import StartRun, Wish
from irp_training.app.tell_history import TellHistory
from irp_training.app.tell_policy import TellPolicy
from irp_training.app.try_bundle import TryBundle
from irp_training.app.watch_run import WatchRun
from irp_training.domain.registry import Model, aliases
from irp_training.domain.run import Run

BUNDLE_LIMIT = 256 << 20  # bytes of a pushed archive


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbs:
    """What the servicer calls."""

    create_dataset: CreateDataset
    describe_dataset: DescribeDataset
    tell_policy: TellPolicy
    start_run: StartRun
    cancel_run: CancelRun
    prioritise_run: PrioritiseRun
    watch_run: WatchRun
    register: RegisterModel
    promote: PromoteModel
    rollback: RollbackModel
    decide: DecidePromotion
    history: TellHistory
    ask_precision: AskPrecision
    ask_report: AskReport
    try_bundle: TryBundle
    export_run: ExportRun
    ask_validation: AskValidation


class TrainingServicer(pb_grpc.TrainingServiceServicer):
    """See training_service.proto."""

    def __init__(self, store: Store, verbs: Verbs, jwks: Sequence[str] = ()) -> None:
        self._store, self._do, self._jwks = store, verbs, jwks

    async def CreateDataset(self, request: pb.CreateDatasetRequest, context: Any) -> pb.CreateDatasetResponse:  # noqa: N802
        """Freeze the accepted masks."""
        project = admit(request.project, "owner", "annotator")
        rules = rules_from_proto(request.rules, request.sequence_classes)
        dataset = await self._do.create_dataset(project, rules, request.actor or caller().subject)
        return pb.CreateDatasetResponse(dataset=dataset_to_proto(dataset))

    async def ListDatasets(self, request: pb.ListDatasetsRequest, context: Any) -> pb.ListDatasetsResponse:  # noqa: N802
        """Every frozen dataset of a project, newest last."""
        project = admit(request.project)
        found = await self._store.datasets(project.id)
        return pb.ListDatasetsResponse(datasets=[dataset_to_proto(one) for one in found])

    async def GetDataset(self, request: pb.GetDatasetRequest, context: Any) -> pb.GetDatasetResponse:  # noqa: N802
        """One frozen dataset: composition and data sheet."""
        found = await self._do.describe_dataset(admit(request.project), request.digest)
        return pb.GetDatasetResponse(dataset=dataset_to_proto(found.dataset, found.cells), sheet=found.sheet)

    async def GetTrainingPolicy(  # noqa: N802
        self, request: pb.GetTrainingPolicyRequest, context: Any
    ) -> pb.GetTrainingPolicyResponse:
        """When the project learns by itself."""
        policy = await self._do.tell_policy(admit(request.project))
        return pb.GetTrainingPolicyResponse(policy=policy_to_proto(policy))

    async def StartRun(self, request: pb.StartRunRequest, context: Any) -> pb.StartRunResponse:  # noqa: N802
        """Queue a run."""
        project = admit(request.project, "owner", "annotator")
        wish = Wish(
            model=request.model,
            base=request.base,
            recipe=request.recipe,
            actor=request.actor or caller().subject,
            request_id=request.request_id,
            rules=rules_from_proto(request.rules, request.sequence_classes),
            dataset_digest=request.dataset_digest,
            promote=request.promote,
            priority=_allowed(request.priority),
        )
        return pb.StartRunResponse(run=await self._shown(await self._do.start_run(project, wish)))

    async def GetRun(self, request: pb.GetRunRequest, context: Any) -> pb.GetRunResponse:  # noqa: N802
        """One run with its curves."""
        project = admit(request.project)
        return pb.GetRunResponse(run=await self._shown(await self._store.run(project.id, request.run_id)))

    async def ListRuns(self, request: pb.ListRunsRequest, context: Any) -> pb.ListRunsResponse:  # noqa: N802
        """Runs of a project, newest last, without their curves."""
        project = admit(request.project)
        runs = await self._store.runs(project.id)
        return pb.ListRunsResponse(runs=[run_to_proto(run, [], await self._store.ahead(run)) for run in runs])

    async def WatchRun(self, request: pb.WatchRunRequest, context: Any) -> AsyncIterator[pb.WatchRunResponse]:  # noqa: N802
        """The run as it changes."""
        project = admit(request.project)
        async for run, metrics, ahead in self._do.watch_run(project.id, request.run_id):
            yield pb.WatchRunResponse(run=run_to_proto(run, metrics, ahead))

    async def CancelRun(self, request: pb.CancelRunRequest, context: Any) -> pb.CancelRunResponse:  # noqa: N802
        """Stop a run."""
        project = admit(request.project, "owner", "annotator")
        return pb.CancelRunResponse(run=await self._shown(await self._do.cancel_run(project, request.run_id)))

    async def PrioritiseRun(self, request: pb.PrioritiseRunRequest, context: Any) -> pb.PrioritiseRunResponse:  # noqa: N802
        """Move a waiting run in the queue."""
        project = admit(request.project, "owner", "annotator")
        run = await self._do.prioritise_run(project, request.run_id, _allowed(request.priority))
        return pb.PrioritiseRunResponse(run=await self._shown(run))

    async def RegisterModel(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.RegisterModelRequest], context: Any
    ) -> pb.RegisterModelResponse:
        """Take a bundle in pieces; the header comes first."""
        caller().require_role("owner")
        header, data = await _receive(request_iterator)
        if header.dry_run:
            return pb.RegisterModelResponse(
                report=pb.ModelReport(state="ended", inspection=await self._do.try_bundle(data))
            )
        project = admit(header.project) if header.HasField("project") else None
        actor = header.actor or caller().subject
        first = header.promote_if_first
        model = await self._do.register(header.name, data, actor, promote_if_first=first, project=project)
        report = report_to_proto(await self._store.appraisal(model.ref.name, model.ref.version))
        return pb.RegisterModelResponse(model=await self._model(model), report=report)

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:  # noqa: N802
        """Every version, with the champions marked."""
        caller()
        models, candidacies = await self._store.models(request.name), await self._store.candidacies(request.name)
        trials = await self._store.trials(request.name)
        waiting = {latest.model for latest in {c.model: c for c in candidacies}.values() if latest.state == "pending"}
        names = {name: await self._aliases(name) for name in {m.ref.name for m in models}}
        return pb.ListModelsResponse(
            models=[
                model_to_proto(
                    m,
                    [alias for alias, version in names[m.ref.name].items() if version == m.ref.version],
                    [trial for trial in trials if trial.model == m.ref],
                    pending=m.ref in waiting,
                )
                for m in models
            ]
        )

    async def Promote(self, request: pb.PromoteRequest, context: Any) -> pb.PromoteResponse:  # noqa: N802
        """Make a version the champion if the gate allows."""
        caller().require_role("owner")
        verdict, state = await self._do.promote(request.name, request.version, request.actor or caller().subject)
        model = await self._store.model(request.name, request.version)
        return pb.PromoteResponse(model=await self._model(model), gate=verdict.to_json(), state=state)

    async def Rollback(self, request: pb.RollbackRequest, context: Any) -> pb.RollbackResponse:  # noqa: N802
        """Make the champion before the champion again."""
        caller().require_role("owner")
        model = await self._do.rollback(request.name, request.actor or caller().subject, request.reason)
        return pb.RollbackResponse(model=await self._model(model))

    async def DecidePromotion(self, request: pb.DecidePromotionRequest, context: Any) -> pb.DecidePromotionResponse:  # noqa: N802
        """The second person is whoever the token names: nobody decides on another's behalf."""
        caller().require_role("owner")
        model = await self._do.decide(
            request.name, request.version, approve=request.approve, actor=caller().subject, comment=request.reason
        )
        return pb.DecidePromotionResponse(model=await self._model(model))

    async def GetHistory(self, request: pb.GetHistoryRequest, context: Any) -> pb.GetHistoryResponse:  # noqa: N802
        """Everything that happened to a model."""
        caller()
        happened, served = await self._do.history(request.name, request.at)
        return pb.GetHistoryResponse(entries=[happened_to_proto(one) for one in happened], served=served or 0)

    async def GetModelKeys(self, request: pb.GetModelKeysRequest, context: Any) -> pb.GetModelKeysResponse:  # noqa: N802
        """What checks signatures."""
        caller()
        return pb.GetModelKeysResponse(jwks=self._jwks)

    async def GuardPrecision(self, request: pb.GuardPrecisionRequest, context: Any) -> pb.GuardPrecisionResponse:  # noqa: N802
        """Queue the trial of a reduced precision."""
        caller().require_role("owner")
        project = admit(request.project) if request.HasField("project") else None
        actor = request.actor or caller().subject
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
        project = admit(request.project) if request.HasField("project") else None
        actor = request.actor or caller().subject
        report = await self._do.ask_report(request.name, request.version, actor, project)
        return pb.AskReportResponse(report=report_to_proto(report))

    async def GetReport(self, request: pb.GetReportRequest, context: Any) -> pb.GetReportResponse:  # noqa: N802
        """What was found, or how far that is."""
        caller()
        report = await self._store.appraisal(request.name, request.version)
        return pb.GetReportResponse(report=report_to_proto(report))

    async def ExportRun(self, request: pb.ExportRunRequest, context: Any) -> pb.ExportRunResponse:  # noqa: N802
        """A run's curves as a picture, or for TensorBoard."""
        project = admit(request.project)
        found = await self._do.export_run(project.id, request.run_id, request.form)
        return pb.ExportRunResponse(body=found.body, media_type=found.media_type, file_name=found.file_name)

    async def ValidateModel(self, request: pb.ValidateModelRequest, context: Any) -> pb.ValidateModelResponse:  # noqa: N802
        """Queue a validation."""
        caller().require_role("owner")
        project = admit(request.project) if request.HasField("project") else None
        actor = request.actor or caller().subject
        found = await self._do.ask_validation(
            request.name, request.version, actor, project, request.split, request.dataset
        )
        return pb.ValidateModelResponse(validation=validation_to_proto(found))

    async def GetValidation(self, request: pb.GetValidationRequest, context: Any) -> pb.GetValidationResponse:  # noqa: N802
        """How far it is, and where its report lies."""
        caller()
        found = await self._store.validation(request.name, request.version, request.id)
        return pb.GetValidationResponse(validation=validation_to_proto(found))

    async def GetDrift(self, request: pb.GetDriftRequest, context: Any) -> pb.GetDriftResponse:  # noqa: N802
        """Whether proposals are corrected more than before."""
        caller().require_role("owner")
        return pb.GetDriftResponse(drifts=[drift_to_proto(one) for one in await self._store.drifts(request.name)])

    async def _shown(self, run: Run) -> pb.Run:
        shown = run_to_proto(run, await self._store.metrics(run.project, run.id), await self._store.ahead(run))
        shown.overlays.extend(map(overlay_to_proto, await self._store.overlays(run.project, run.id)))
        return shown

    async def _model(self, model: Model) -> pb.Model:
        names = await self._aliases(model.ref.name)
        stood = [c for c in await self._store.candidacies(model.ref.name) if c.model == model.ref]
        mine = [alias for alias, version in names.items() if version == model.ref.version]
        return model_to_proto(model, mine, pending=bool(stood) and stood[-1].state == "pending")

    async def _aliases(self, name: str) -> dict[Alias, int]:
        versions = [model.ref.version for model in await self._store.models(name)]
        return aliases(versions, await self._store.history(name))


def admit(message: types_pb2.ProjectRef, *roles: str) -> Project:
    """The project of a request, whose caller must be inside it, with one of the roles if any is named."""
    project = project_from_proto(message)
    caller().require_project(project.id)
    if roles:
        caller().require_role(*roles)
    return project


def _allowed(priority: int) -> int:
    """Going before other projects' runs is for those who answer for a project."""
    if priority > 0:
        caller().require_role("owner")
    return priority


async def _receive(pieces: AsyncIterator[pb.RegisterModelRequest]) -> tuple[pb.RegisterModelHeader, bytes]:
    header: pb.RegisterModelHeader | None = None
    data = bytearray()
    async for piece in pieces:
        if piece.HasField("header"):
            header = piece.header
        data += piece.data
        if len(data) > BUNDLE_LIMIT:
            raise TooLarge(limit=BUNDLE_LIMIT)
    if header is None:
        raise InvalidArgument("the first piece of a model must be its header")
    return header, bytes(data)

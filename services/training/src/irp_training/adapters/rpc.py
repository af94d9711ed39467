"""TrainingService on the wire: messages in, verbs called, messages out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from irp.common.v1 import types_pb2
from irp.training.v1 import training_service_pb2 as pb
from irp.training.v1 import training_service_pb2_grpc as pb_grpc
from irp_chassis.rpc import caller
from irp_kernel.errors import InvalidArgument, TooLarge

from irp_training.adapters.wire import (
    dataset_to_proto,
    model_to_proto,
    project_from_proto,
    run_to_proto,
    trial_to_proto,
)
from irp_training.app.ask_precision import AskPrecision
from irp_training.app.cancel_run import CancelRun
from irp_training.app.create_dataset import CreateDataset
from irp_training.app.ports import Project, Store
from irp_training.app.promote_model import PromoteModel
from irp_training.app.register_model import RegisterModel
from irp_training.app.rollback_model import RollbackModel
from irp_training.app.start_run import StartRun, Wish
from irp_training.app.watch_run import WatchRun
from irp_training.domain.registry import Model, champion
from irp_training.domain.run import Run

BUNDLE_LIMIT = 256 << 20  # bytes of a pushed archive


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbs:
    """What the servicer calls."""

    create_dataset: CreateDataset
    start_run: StartRun
    cancel_run: CancelRun
    watch_run: WatchRun
    register: RegisterModel
    promote: PromoteModel
    rollback: RollbackModel
    ask_precision: AskPrecision


class TrainingServicer(pb_grpc.TrainingServiceServicer):
    """See training_service.proto."""

    def __init__(self, store: Store, verbs: Verbs) -> None:
        self._store, self._do = store, verbs

    async def CreateDataset(self, request: pb.CreateDatasetRequest, context: Any) -> pb.CreateDatasetResponse:  # noqa: N802
        """Freeze the accepted masks."""
        project = admit(request.project, "owner", "annotator")
        dataset = await self._do.create_dataset(project, request.sequence_classes)
        return pb.CreateDatasetResponse(dataset=dataset_to_proto(dataset))

    async def StartRun(self, request: pb.StartRunRequest, context: Any) -> pb.StartRunResponse:  # noqa: N802
        """Queue a run."""
        project = admit(request.project, "owner", "annotator")
        wish = Wish(
            model=request.model,
            base=request.base,
            recipe=request.recipe,
            actor=request.actor or caller().subject,
            request_id=request.request_id,
            sequence_classes=tuple(request.sequence_classes),
            promote=request.promote,
        )
        return pb.StartRunResponse(run=await self._shown(await self._do.start_run(project, wish)))

    async def GetRun(self, request: pb.GetRunRequest, context: Any) -> pb.GetRunResponse:  # noqa: N802
        """One run with its curves."""
        project = admit(request.project)
        return pb.GetRunResponse(run=await self._shown(await self._store.run(project.id, request.run_id)))

    async def ListRuns(self, request: pb.ListRunsRequest, context: Any) -> pb.ListRunsResponse:  # noqa: N802
        """Runs of a project, newest last, without their curves."""
        project = admit(request.project)
        return pb.ListRunsResponse(runs=[run_to_proto(run, []) for run in await self._store.runs(project.id)])

    async def WatchRun(self, request: pb.WatchRunRequest, context: Any) -> AsyncIterator[pb.WatchRunResponse]:  # noqa: N802
        """The run as it changes."""
        project = admit(request.project)
        async for run, metrics in self._do.watch_run(project.id, request.run_id):
            yield pb.WatchRunResponse(run=run_to_proto(run, metrics))

    async def CancelRun(self, request: pb.CancelRunRequest, context: Any) -> pb.CancelRunResponse:  # noqa: N802
        """Stop a run."""
        project = admit(request.project, "owner", "annotator")
        return pb.CancelRunResponse(run=await self._shown(await self._do.cancel_run(project, request.run_id)))

    async def RegisterModel(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.RegisterModelRequest], context: Any
    ) -> pb.RegisterModelResponse:
        """Take a bundle in pieces; the header comes first."""
        caller().require_role("owner")
        header, data = await _receive(request_iterator)
        actor = header.actor or caller().subject
        model = await self._do.register(header.name, data, actor, promote_if_first=header.promote_if_first)
        return pb.RegisterModelResponse(model=await self._model(model))

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:  # noqa: N802
        """Every version, with the champions marked."""
        caller()
        models = await self._store.models(request.name)
        champions = {name: champion(await self._store.history(name)) for name in {m.ref.name for m in models}}
        trials = await self._store.trials(request.name)
        return pb.ListModelsResponse(
            models=[
                model_to_proto(m, champions[m.ref.name], [trial for trial in trials if trial.model == m.ref])
                for m in models
            ]
        )

    async def Promote(self, request: pb.PromoteRequest, context: Any) -> pb.PromoteResponse:  # noqa: N802
        """Make a version the champion if the gate allows."""
        caller().require_role("owner")
        verdict = await self._do.promote(request.name, request.version, request.actor or caller().subject)
        model = await self._store.model(request.name, request.version)
        return pb.PromoteResponse(model=await self._model(model), gate=verdict.to_json())

    async def Rollback(self, request: pb.RollbackRequest, context: Any) -> pb.RollbackResponse:  # noqa: N802
        """Make the champion before the champion again."""
        caller().require_role("owner")
        model = await self._do.rollback(request.name, request.actor or caller().subject)
        return pb.RollbackResponse(model=await self._model(model))

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

    async def _shown(self, run: Run) -> pb.Run:
        return run_to_proto(run, await self._store.metrics(run.project, run.id))

    async def _model(self, model: Model) -> pb.Model:
        return model_to_proto(model, champion(await self._store.history(model.ref.name)))


def admit(message: types_pb2.ProjectRef, *roles: str) -> Project:
    """The project of a request, whose caller must be inside it, with one of the roles if any is named."""
    project = project_from_proto(message)
    caller().require_project(project.id)
    if roles:
        caller().require_role(*roles)
    return project


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

"""Doors to the registry: messages in, verbs called, messages out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import groupby
from typing import Any

from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.paging import size_of
from irp_chassis.rpc import caller
from irp_kernel.errors import InvalidArgument, TooLarge

from irp_training.adapters.desk import Desk, judging
from irp_training.adapters.wire import (
    gate_to_json,
    history_to_proto,
    model_to_proto,
    progress_to_proto,
    report_to_proto,
)
from irp_training.app.find_version import find_version
from irp_training.domain.registry.registry import Model, aliases

BUNDLE_LIMIT = 256 << 20  # bytes of a pushed archive


class RegistryDoors(Desk):
    """Versions: pushed, promoted, decided on, rolled back, remembered."""

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
        project = judging(header)
        actor = caller().subject
        first = header.promote_if_first
        model = await self._do.register(header.name, data, actor, promote_if_first=first, project=project)
        report = report_to_proto(await self._store.appraisal(model.ref.name, model.ref.version))
        return pb.RegisterModelResponse(model=await self._model(model), report=report)

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:  # noqa: N802
        """A page of versions, with what they are called now."""
        caller()
        models, after = await self._store.page_of_models(request.name, request.after, size_of(request.limit))
        shown = [one for _, mine in groupby(models, lambda m: m.ref.name) for one in await self._as_named(list(mine))]
        return pb.ListModelsResponse(models=shown, next=after)

    async def GetModel(self, request: pb.GetModelRequest, context: Any) -> pb.GetModelResponse:  # noqa: N802
        """One version."""
        caller()
        wanted = request.version or request.alias
        model = await find_version(self._store, f"{request.name}@{wanted}" if wanted else request.name)
        return pb.GetModelResponse(model=await self._model(model))

    async def Promote(self, request: pb.PromoteRequest, context: Any) -> pb.PromoteResponse:  # noqa: N802
        """Make a version the champion if the gate allows."""
        caller().require_role("owner")
        stands = await self._do.promote(request.name, request.version, caller().subject)
        model = await self._store.model(request.name, request.version)
        return pb.PromoteResponse(
            model=await self._model(model),
            gate=gate_to_json(stands.verdict),
            state=stands.state,
            progress=progress_to_proto(stands.progress),
        )

    async def Rollback(self, request: pb.RollbackRequest, context: Any) -> pb.RollbackResponse:  # noqa: N802
        """Make the champion before the champion again."""
        caller().require_role("owner")
        model = await self._do.rollback(request.name, caller().subject, request.reason)
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
        return history_to_proto(happened, served)

    async def GetModelKeys(self, request: pb.GetModelKeysRequest, context: Any) -> pb.GetModelKeysResponse:  # noqa: N802
        """What checks signatures."""
        caller()
        return pb.GetModelKeysResponse(jwks=self._jwks)

    async def _model(self, model: Model) -> pb.Model:
        (shown,) = await self._as_named([model])
        return shown

    async def _as_named(self, models: Sequence[Model]) -> list[pb.Model]:
        """Versions of one model, with the names that they have now, their trials, and whether a person lacks."""
        name = models[0].ref.name
        history, waiting = await self._store.history(name), await self._store.waiting(name)
        names, trials = aliases(await self._store.versions(name), history), await self._store.trials(name)
        unagreed = await self._do.approvals.unagreed(models, history)
        return [
            model_to_proto(
                model,
                [alias for alias, version in names.items() if version == model.ref.version],
                [trial for trial in trials if trial.model == model.ref],
                pending=model.ref.version in waiting,
                unagreed=model.ref.version in unagreed,
            )
            for model in models
        ]


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

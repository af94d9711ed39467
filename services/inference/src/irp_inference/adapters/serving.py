"""The operators' gRPC door: what was said about models, kept and told to every replica."""

from __future__ import annotations

import json
from typing import Any

from irp.common.v1 import types_pb2
from irp.inference.v1 import serving_service_pb2 as pb
from irp.inference.v1 import serving_service_pb2_grpc as pb_grpc
from irp.inference.v1.events_pb2 import ServingConfigured
from irp_chassis.db import Database
from irp_chassis.rpc import caller
from irp_kernel.errors import ModelUnknown
from irp_kernel.ids import Slug

from irp_inference.adapters.serving_rows import ServingRows, say
from irp_inference.adapters.shelf import Shelf, Status
from irp_inference.app.answer_series import AnswerSeries
from irp_inference.app.whoever_serves import WhoeverServes
from irp_inference.domain.serving import Policy, Share

ADMIN = "admin"


class ServingServicer(pb_grpc.ServingServiceServicer):
    """Wire <-> shelf."""

    def __init__(
        self, shelf: Shelf, rows: ServingRows, answers: AnswerSeries, whoever: WhoeverServes, database: Database
    ) -> None:
        self._shelf, self._rows, self._database = shelf, rows, database
        self._answers, self._whoever = answers, whoever

    async def ConfigureServing(self, request: pb.ConfigureServingRequest, context: Any) -> pb.ConfigureServingResponse:  # noqa: N802
        """Row and fact in one transaction; the versions must be registered."""
        caller().require_role(ADMIN)
        name, policy = Slug(request.name), _policy(request.serving)
        await self._shelf.champion(name)
        for version in policy.versions:
            if await self._rows.model((name, version)) is None:
                raise ModelUnknown(f"{name}@{version}")
        async with self._database.transaction() as tx:
            revision = await say(tx, name, policy, caller().subject)
        return pb.ConfigureServingResponse(revision=revision)

    async def hear(self, fact: ServingConfigured) -> None:
        """Every process follows."""
        await self._shelf.configure(fact.name, Policy.from_json(json.loads(fact.policy)), fact.aggregate.version)

    async def GetServing(self, request: pb.GetServingRequest, context: Any) -> pb.GetServingResponse:  # noqa: N802
        """What was said, and what came of it."""
        name = Slug(request.name)
        champion = await self._shelf.champion(name)
        known = (await self._rows.policies()).get(name, (Policy(), 0))
        pairs = ((pair, tally) for pair, tally in self._answers.comparisons.items() if pair[0] == name)
        return pb.GetServingResponse(
            serving=_serving(known[0]),
            revision=known[1],
            champion=champion,
            comparisons=[
                pb.Comparison(
                    served=served,
                    shadow=shadow,
                    answers=tally.answers,
                    failures=tally.failures,
                    structures=[
                        pb.StructureComparison(
                            structure=structure, answers=t.answers, mean_dice=t.mean_dice, least_dice=t.least_dice
                        )
                        for structure, t in tally.structures.items()
                    ],
                )
                for (_, served, shadow), tally in pairs
            ],
            answers=self._whoever.answers[name],
            canary_failures=self._whoever.canary_failures[name],
        )

    async def LoadModel(self, request: pb.LoadModelRequest, context: Any) -> pb.LoadModelResponse:  # noqa: N802
        """Answered when the version is warm."""
        caller().require_role(ADMIN)
        loaded = await self._shelf.load(Slug(request.name), request.version or None)
        return pb.LoadModelResponse(status=version_status(self._shelf.status((loaded.name, loaded.version))))

    async def UnloadModel(self, request: pb.UnloadModelRequest, context: Any) -> pb.UnloadModelResponse:  # noqa: N802
        """Answered at once; the last user finishes first."""
        caller().require_role(ADMIN)
        await self._shelf.unload(Slug(request.name), request.version or None)
        return pb.UnloadModelResponse()

    async def ListVersions(self, request: pb.ListVersionsRequest, context: Any) -> pb.ListVersionsResponse:  # noqa: N802
        """Of this replica."""
        return pb.ListVersionsResponse(versions=[version_status(status) for status in self._shelf.loaded()])


def version_status(status: Status) -> pb.VersionStatus:
    """As it travels."""
    answer = pb.VersionStatus(
        model=types_pb2.ModelRef(name=status.key[0], version=status.key[1]),
        state=status.state,
        reason=status.reason,
        role=status.role,
        users=status.users,
    )
    if status.loaded is not None:
        nets = status.loaded.nets
        answer.model.digest = status.loaded.digest
        answer.engine, answer.device, answer.precision = nets.engine, nets.device, nets.precision
        answer.memory_bytes, answer.precision_note = nets.memory_bytes, nets.precision_note
        if status.loaded.interactive is not None:
            answer.prompts.extend(status.loaded.interactive.prompts.kinds)
    return answer


def _policy(serving: pb.Serving) -> Policy:
    document: dict[str, Any] = {"pin": serving.pin or None}
    for role in ("canary", "shadow"):
        if serving.HasField(role):
            share = getattr(serving, role)
            document[role] = {"version": share.version, "percent": share.percent}
    return Policy.from_json(document)


def _serving(policy: Policy) -> pb.Serving:
    return pb.Serving(pin=policy.pin or 0, canary=_share(policy.canary), shadow=_share(policy.shadow))


def _share(share: Share | None) -> pb.Share | None:
    return pb.Share(version=share.version, percent=share.percent) if share else None

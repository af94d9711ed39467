"""Canned answers about containers and challenges: queued first, ended when asked again."""

from __future__ import annotations

import json
import math
from typing import Any

from irp.common.v1 import types_pb2
from irp.training.v1 import challenge_service_pb2 as challenge_pb
from irp.training.v1 import challenge_service_pb2_grpc, container_service_pb2_grpc
from irp.training.v1 import container_service_pb2 as pb
from irp_chassis.auth import caller

from .fake_pages import cut

REPORT = {"checks": [{"name": "runs", "passed": True, "detail": "exit code 0, on a phantom"}], "said": "done"}
REF = types_pb2.ModelRef(name="heart", version=1, digest="c" * 64)


class Containers(container_service_pb2_grpc.ContainerServiceServicer):
    """Part of the training room; `state` is how the conformance test and runs end."""

    state, run_state = "accepted", "succeeded"
    runs = 1  # of the project
    header: pb.PushContainerHeader | None = None
    pushed: bytes = b""
    model: bytes = b""
    asked: pb.RunContainerRequest | None = None

    async def PushContainer(self, requests: Any, context: Any) -> pb.PushContainerResponse:
        caller().require_role("admin")
        self.header, self.pushed, self.model = None, b"", b""
        async for request in requests:
            if request.HasField("header"):
                self.header = request.header
            self.pushed += request.data
            self.model += request.model
        return pb.PushContainerResponse(container=self._container("queued"))

    async def ListContainers(self, request: Any, context: Any) -> pb.ListContainersResponse:
        return pb.ListContainersResponse(containers=[self._container(self.state)])

    async def GetContainer(self, request: Any, context: Any) -> pb.GetContainerResponse:
        return pb.GetContainerResponse(container=self._container(self.state))

    async def PromoteContainer(self, request: Any, context: Any) -> pb.PromoteContainerResponse:
        caller().require_role("admin")
        promoted = self._container("accepted")
        promoted.promoted_at, promoted.promoted_by = "2026-01-01T00:00:00+00:00", request.actor
        return pb.PromoteContainerResponse(container=promoted)

    async def RunContainer(self, request: pb.RunContainerRequest, context: Any) -> pb.RunContainerResponse:
        caller().require_role("annotator", "owner")
        self.asked = request
        return pb.RunContainerResponse(run=self._run("queued"))

    async def GetContainerRun(self, request: Any, context: Any) -> pb.GetContainerRunResponse:
        return pb.GetContainerRunResponse(run=self._run(self.run_state))

    async def ListContainerRuns(self, request: Any, context: Any) -> pb.ListContainerRunsResponse:
        runs, following = cut([self._run(self.run_state)] * self.runs, request)
        return pb.ListContainerRunsResponse(runs=runs, next=following)

    def _container(self, state: str) -> pb.Container:
        return pb.Container(
            ref=REF,
            image="1" * 64,
            archive=types_pb2.ObjectRef(size=700_000),
            sockets='{"labels": {"1": "lv_blood_pool"}}',
            state=state,
            progress=types_pb2.Progress(fraction=0 if state == "queued" else 1, eta_s=-1, step=state),
            report="" if state == "queued" else json.dumps(REPORT),
        )

    def _run(self, state: str) -> pb.ContainerRun:
        return pb.ContainerRun(
            id="run-1",
            container=REF,
            series_uid="1.2.3",
            state=state,
            progress=types_pb2.Progress(fraction=1, eta_s=-1, step=state),
            values='[{"score": null}]' if state == "succeeded" else "",
            ended_with='{"exit_code": 0}',
            said="no heart" if state == "failed" else "",
            reason="CONTAINER_FAILED" if state == "failed" else "",
        )


class Challenges(challenge_service_pb2_grpc.ChallengeServiceServicer):
    """Part of the training room: one challenge, one entry."""

    created: challenge_pb.CreateChallengeRequest | None = None
    entered: challenge_pb.EnterChallengeRequest | None = None
    entry_state = "scored"

    async def CreateChallenge(self, request: Any, context: Any) -> challenge_pb.CreateChallengeResponse:
        caller().require_role("owner")
        caller().require_project(request.project.id)
        self.created = request
        return challenge_pb.CreateChallengeResponse(challenge=a_challenge())

    async def ListChallenges(self, request: Any, context: Any) -> challenge_pb.ListChallengesResponse:
        return challenge_pb.ListChallengesResponse(challenges=[a_challenge()])

    async def EnterChallenge(self, request: Any, context: Any) -> challenge_pb.EnterChallengeResponse:
        self.entered = request
        return challenge_pb.EnterChallengeResponse(entry=an_entry("queued"))

    async def GetEntry(self, request: Any, context: Any) -> challenge_pb.GetEntryResponse:
        return challenge_pb.GetEntryResponse(entry=an_entry(self.entry_state))

    async def GetLeaderboard(self, request: Any, context: Any) -> challenge_pb.GetLeaderboardResponse:
        figure = challenge_pb.LeaderboardFigure(
            metric="dice", structure="lv_blood_pool", mean=0.9, low=0.85, high=0.93, rank=1.0
        )
        unknown = challenge_pb.LeaderboardFigure(
            metric="dice", structure="scar", mean=math.nan, low=math.nan, high=math.nan, rank=2.0
        )
        row = challenge_pb.LeaderboardRow(
            entry=an_entry("scored"),
            position=1,
            mean_rank=1,
            position_low=1,
            position_high=2,
            figures=[figure, unknown],
        )
        return challenge_pb.GetLeaderboardResponse(
            challenge=a_challenge(), rows=[row], final=True, unranked=[an_entry("failed")]
        )

    async def PromoteWinner(self, request: Any, context: Any) -> challenge_pb.PromoteWinnerResponse:
        caller().require_role("admin")
        return challenge_pb.PromoteWinnerResponse(ref=REF, gate="", state="promoted", kind="container")


def a_challenge() -> challenge_pb.Challenge:
    return challenge_pb.Challenge(
        name="spring",
        title="Spring",
        project="shared",
        cases=3,
        patients=3,
        structures=["lv_blood_pool"],
        metrics=["dice"],
        deadline="2027-03-01T12:00:00+00:00",
        entries_per_team=5,
        open=True,
    )


def an_entry(state: str) -> challenge_pb.ChallengeEntry:
    progress = types_pb2.Progress(fraction=1, eta_s=-1, step=state)
    return challenge_pb.ChallengeEntry(
        id="entry-1", challenge="spring", team="them", kind="container", ref=REF, state=state, progress=progress
    )

"""ChallengeService on the wire: messages in, verbs called, messages out; never a score of a single case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from irp.training.v1 import challenge_service_pb2 as pb
from irp.training.v1 import challenge_service_pb2_grpc as pb_grpc
from irp_chassis.rpc import caller

from irp_training.adapters.desk import admit
from irp_training.adapters.wire import gate_to_json, model_ref_to_proto, progress_to_proto
from irp_training.app.challenge_ports import Challenges
from irp_training.app.create_challenge import ChallengeWish, CreateChallenge
from irp_training.app.enter_challenge import EnterChallenge
from irp_training.app.ports import Clock
from irp_training.app.promote_winner import PromoteWinner
from irp_training.app.read_leaderboard import ReadLeaderboard
from irp_training.domain.challenges.challenge import Challenge, Entry
from irp_training.domain.challenges.leaderboard import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeVerbs:
    """What the servicer calls."""

    create: CreateChallenge
    enter: EnterChallenge
    leaderboard: ReadLeaderboard
    promote: PromoteWinner


class ChallengeServicer(pb_grpc.ChallengeServiceServicer):
    """See challenge_service.proto."""

    def __init__(self, challenges: Challenges, verbs: ChallengeVerbs, now: Clock) -> None:
        self._challenges, self._do, self._now = challenges, verbs, now

    async def CreateChallenge(self, request: pb.CreateChallengeRequest, context: Any) -> pb.CreateChallengeResponse:  # noqa: N802
        """Freeze the test set."""
        project = admit(request.project, "owner")
        wish = ChallengeWish(
            name=request.name,
            title=request.title,
            structures=tuple(request.structures),
            metrics=tuple(request.metrics),
            deadline=request.deadline,
            entries_per_team=request.entries_per_team,
            sequence_classes=tuple(request.sequence_classes),
            actor=caller().subject,
        )
        challenge = await self._do.create(project, wish)
        return pb.CreateChallengeResponse(challenge=self._shown(challenge, 0))

    async def ListChallenges(self, request: pb.ListChallengesRequest, context: Any) -> pb.ListChallengesResponse:  # noqa: N802
        """What is compared, without any scores."""
        caller()
        found = await self._challenges.challenges(request.name)
        counts = [len(await self._challenges.entries(challenge.name)) for challenge in found]
        shown = [self._shown(challenge, count) for challenge, count in zip(found, counts, strict=True)]
        return pb.ListChallengesResponse(challenges=shown)

    async def EnterChallenge(self, request: pb.EnterChallengeRequest, context: Any) -> pb.EnterChallengeResponse:  # noqa: N802
        """Queue an entry."""
        team = caller().subject
        entry = await self._do.enter(request.challenge, request.kind, request.name, request.version, team)
        return pb.EnterChallengeResponse(entry=entry_to_proto(entry))

    async def GetEntry(self, request: pb.GetEntryRequest, context: Any) -> pb.GetEntryResponse:  # noqa: N802
        """How far it is."""
        caller()
        entry = await self._challenges.entry(request.challenge, request.entry_id)
        return pb.GetEntryResponse(entry=entry_to_proto(entry))

    async def GetLeaderboard(self, request: pb.GetLeaderboardRequest, context: Any) -> pb.GetLeaderboardResponse:  # noqa: N802
        """Places, means and intervals."""
        caller()
        board = await self._do.leaderboard(request.challenge)
        return pb.GetLeaderboardResponse(
            challenge=self._shown(board.challenge, len(board.rows) + len(board.unranked)),
            rows=[row_to_proto(entry, row) for entry, row in board.rows],
            final=board.final,
            unranked=[entry_to_proto(entry) for entry in board.unranked],
        )

    async def PromoteWinner(self, request: pb.PromoteWinnerRequest, context: Any) -> pb.PromoteWinnerResponse:  # noqa: N802
        """Make the winner the champion of its name."""
        caller().require_role("admin")
        won = await self._do.promote(request.challenge, caller().subject)
        return pb.PromoteWinnerResponse(
            ref=model_ref_to_proto(won.ref),
            kind=won.kind,
            gate=gate_to_json(won.stands.verdict),
            state=won.stands.state,
            progress=progress_to_proto(won.stands.progress),
        )

    def _shown(self, challenge: Challenge, entries: int) -> pb.Challenge:
        return challenge_to_proto(challenge, entries, open_now=challenge.open_at(self._now()))


def challenge_to_proto(challenge: Challenge, entries: int, *, open_now: bool) -> pb.Challenge:
    """Challenge -> message."""
    return pb.Challenge(
        name=challenge.name,
        title=challenge.title,
        project=challenge.project,
        dataset_digest=challenge.dataset.digest,
        cases=challenge.cases,
        patients=challenge.patients,
        structures=challenge.structures,
        metrics=challenge.metrics,
        deadline=challenge.deadline,
        entries_per_team=challenge.entries_per_team,
        actor=challenge.actor,
        created_at=challenge.created_at,
        open=open_now,
        entries=entries,
    )


def entry_to_proto(entry: Entry) -> pb.ChallengeEntry:
    """Entry -> message."""
    return pb.ChallengeEntry(
        id=entry.id,
        challenge=entry.challenge,
        team=entry.team,
        kind=entry.kind,
        ref=model_ref_to_proto(entry.ref),
        state=entry.state,
        progress=progress_to_proto(entry.progress),
        reason=entry.reason,
        message=entry.message,
        entered_at=entry.entered_at,
        finished_at=entry.finished_at,
    )


def row_to_proto(entry: Entry, row: Row) -> pb.LeaderboardRow:
    """An entry with its place -> message."""
    figures = [
        pb.LeaderboardFigure(
            metric=figure.metric,
            structure=figure.structure,
            mean=figure.mean,
            low=figure.low,
            high=figure.high,
            rank=figure.rank,
            missing=figure.missing,
        )
        for figure in row.figures
    ]
    return pb.LeaderboardRow(
        entry=entry_to_proto(entry),
        position=row.position,
        mean_rank=row.mean_rank,
        position_low=row.position_low,
        position_high=row.position_high,
        figures=figures,
    )

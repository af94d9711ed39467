"""/challenges: a frozen test set, metrics, a deadline, a leaderboard; labels stay in the training room."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from irp.training.v1 import challenge_service_pb2 as pb
from irp_chassis.auth import Caller, act_as
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from irp_gateway.adapters.answers import Page, Paging, Progress, page, progress_of, read_json
from irp_gateway.adapters.desk import DeskHere
from irp_gateway.adapters.door import Door, made
from irp_gateway.adapters.visitor import Admin, IdInPath, Inside, ModelInPath, Visitor
from irp_gateway.domain.naming import SLUG

router = APIRouter(prefix="/api/v1/challenges", tags=["challenges"], route_class=Door)

FREEZING_TIMEOUT_S = 120.0
GATE_TIMEOUT_S = 60.0  # the registry answers "measuring" long before
RANKING_TIMEOUT_S = 120.0


class ChallengeBody(BaseModel):
    """A challenge on a project's test set; it does not change afterwards."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=SLUG, examples=["spring"])
    title: str = Field("", max_length=200)
    project: str = Field(max_length=48, description="whose split `test` is the test set; you must own it")
    structures: list[str] = Field(min_length=1, max_length=16, examples=[["lv_blood_pool", "lv_myocardium"]])
    metrics: list[Literal["dice", "hd95"]] = Field([], description="empty = all; hd95 in mm")
    deadline: AwareDatetime = Field(description="nothing is entered from then on")
    entries_per_team: int = Field(0, ge=0, le=100, description="0 = five")
    sequence_classes: list[str] = Field([], max_length=32, examples=[["cine-sax"]], description="empty = all")


class ChallengeAnswer(BaseModel):
    """What is compared."""

    name: str
    title: str
    project: str
    dataset_digest: str = Field(description="of the frozen dataset whose split `test` is the test set")
    cases: int = Field(description="series of the test set")
    patients: int
    structures: list[str]
    metrics: list[str]
    deadline: str
    entries_per_team: int
    open: bool = Field(description="before the deadline")
    entries: int
    actor: str
    created_at: str


class EntryBody(BaseModel):
    """A registered model or container to enter."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["model", "container"]
    name: str = Field(max_length=48, examples=["cine"])
    version: int = Field(ge=1, le=1_000_000_000)


class EntryAnswer(BaseModel):
    """One entry."""

    id: str
    challenge: str
    team: str
    kind: str
    name: str
    version: int
    digest: str
    state: str = Field(description='"queued", "running", "scored" or "failed"')
    progress: Progress
    reason: str = Field(description="why it could not be scored; empty otherwise")
    message: str
    entered_at: str
    finished_at: str


class FigureAnswer(BaseModel):
    """One metric of one structure over the whole test set."""

    metric: str
    structure: str
    mean: float | None = Field(description="over patients; null where no case that tells of it was answered")
    interval: tuple[float, float] | None = Field(description="95 %, over resampled patients; null below two patients")
    rank: float = Field(description="1 = best; equal means share the mean of their ranks")
    missing: int = Field(description="cases without an answer; they count as the worst")


class PlaceAnswer(BaseModel):
    """One place of the leaderboard."""

    position: int = Field(description="1 = best; entries of equal mean rank share it")
    positions: tuple[int, int] = Field(description="95 % of the positions over resampled patients")
    mean_rank: float = Field(description="over metrics and structures")
    entry: EntryAnswer
    figures: list[FigureAnswer]


class LeaderboardAnswer(BaseModel):
    """Ranked entries, best first; never a score of a single case."""

    challenge: ChallengeAnswer
    final: bool = Field(description="the deadline has passed and every entry has ended")
    places: list[PlaceAnswer]
    unranked: list[EntryAnswer] = Field(description="entries on their way, or failed")


class WinnerAnswer(BaseModel):
    """The winner, now the champion of its name, or about to be."""

    name: str
    version: int
    digest: str
    kind: Literal["model", "container"]
    gate: dict[str, Any] = Field(description="the gate's verdict; empty for a container, whose place is its verdict")
    state: str = Field(description='"promoted", or "pending" until a second person agrees; "measuring": ask again')
    progress: Progress = Field(description="of the gate's measuring")


@router.post("", status_code=201, summary="Hold a challenge on a project's test set")
async def create_challenge(
    body: ChallengeBody, identity: Visitor, desk: DeskHere, request: Request, response: Response
) -> ChallengeAnswer:
    """Freezes the test set as it is now. The same again is the same challenge."""
    found, member = await desk.enter(identity, body.project, "owner")
    act_as(Caller(subject=identity.subject, project=found.id, roles=member.roles))
    here = Inside(identity, found, member, desk)
    asked = pb.CreateChallengeRequest(
        project=here.ref,
        name=body.name,
        title=body.title,
        structures=body.structures,
        metrics=body.metrics,
        deadline=_text(body.deadline),
        entries_per_team=body.entries_per_team,
        sequence_classes=body.sequence_classes,
        actor=identity.subject,
    )
    answer = await here.ask("training", "CreateChallenge", asked, timeout_s=FREEZING_TIMEOUT_S)
    made(request, challenge=body.name)
    response.headers["Location"] = desk.address("challenges", body.name)
    return challenge_answer(answer.challenge)


@router.get("", summary="Challenges")
async def list_challenges(
    identity: Visitor, desk: DeskHere, paging: Annotated[Paging, Query()]
) -> Page[ChallengeAnswer]:
    """Open and closed ones."""
    answer = await desk.rooms["training"].ask("ListChallenges", pb.ListChallengesRequest())
    return page([challenge_answer(one) for one in answer.challenges], paging.cursor, paging.limit)


@router.post("/{name}/entries", status_code=202, summary="Enter a model or a container")
async def enter_challenge(
    name: ModelInPath, body: EntryBody, identity: Visitor, desk: DeskHere, request: Request, response: Response
) -> EntryAnswer:
    """Whoever has a token that is not of one project may enter what is registered; you are the team. See Location."""
    asked = pb.EnterChallengeRequest(
        challenge=name, kind=body.kind, name=body.name, version=body.version, team=identity.subject
    )
    entry = entry_answer((await desk.rooms["training"].ask("EnterChallenge", asked)).entry)
    made(request, entry=entry.id, kind=entry.kind, version=entry.version)
    response.headers["Location"] = desk.address("challenges", name, "entries", entry.id)
    return entry


@router.get("/{name}/entries/{id}", summary="How far an entry is")
async def get_entry(name: ModelInPath, id: IdInPath, identity: Visitor, desk: DeskHere) -> EntryAnswer:
    """Its place stands in the leaderboard once it is scored."""
    asked = pb.GetEntryRequest(challenge=name, entry_id=id)
    return entry_answer((await desk.rooms["training"].ask("GetEntry", asked)).entry)


@router.get("/{name}/leaderboard", summary="The leaderboard")
async def get_leaderboard(name: ModelInPath, identity: Visitor, desk: DeskHere) -> LeaderboardAnswer:
    """Places by mean rank over metrics and structures, with intervals."""
    asked = pb.GetLeaderboardRequest(challenge=name)
    board = await desk.rooms["training"].ask("GetLeaderboard", asked, timeout_s=RANKING_TIMEOUT_S)
    return LeaderboardAnswer(
        challenge=challenge_answer(board.challenge),
        final=board.final,
        places=[_place(row) for row in board.rows],
        unranked=[entry_answer(entry) for entry in board.unranked],
    )


@router.post("/{name}/promote", summary="Make the winner the champion of its name")
async def promote_winner(
    name: ModelInPath, admin: Admin, desk: DeskHere, request: Request, response: Response
) -> WinnerAnswer:
    """Once the leaderboard is final: a model if the gate allows; a container at once, for runs and automation.

    202 with state "pending": a second person has to agree; with "measuring": there is no verdict yet, ask again.
    """
    asked = pb.PromoteWinnerRequest(challenge=name, actor=admin.subject)
    answer = await desk.rooms["training"].ask("PromoteWinner", asked, timeout_s=GATE_TIMEOUT_S)
    made(request, model=answer.ref.name, version=answer.ref.version)
    response.status_code = 202 if answer.state in {"pending", "measuring"} else 200
    ref = answer.ref
    return WinnerAnswer(
        name=ref.name,
        version=ref.version,
        digest=ref.digest,
        kind=answer.kind,
        gate=read_json(answer.gate),
        state=answer.state,
        progress=progress_of(answer.progress),
    )


def challenge_answer(challenge: pb.Challenge) -> ChallengeAnswer:
    """What the API says of a challenge."""
    return ChallengeAnswer(
        name=challenge.name,
        title=challenge.title,
        project=challenge.project,
        dataset_digest=challenge.dataset_digest,
        cases=challenge.cases,
        patients=challenge.patients,
        structures=list(challenge.structures),
        metrics=list(challenge.metrics),
        deadline=challenge.deadline,
        entries_per_team=challenge.entries_per_team,
        open=challenge.open,
        entries=challenge.entries,
        actor=challenge.actor,
        created_at=challenge.created_at,
    )


def entry_answer(entry: pb.ChallengeEntry) -> EntryAnswer:
    """What the API says of an entry."""
    return EntryAnswer(
        id=entry.id,
        challenge=entry.challenge,
        team=entry.team,
        kind=entry.kind,
        name=entry.ref.name,
        version=entry.ref.version,
        digest=entry.ref.digest,
        state=entry.state,
        progress=progress_of(entry.progress),
        reason=entry.reason,
        message=entry.message,
        entered_at=entry.entered_at,
        finished_at=entry.finished_at,
    )


def _place(row: pb.LeaderboardRow) -> PlaceAnswer:
    return PlaceAnswer(
        position=row.position,
        positions=(row.position_low, row.position_high),
        mean_rank=row.mean_rank,
        entry=entry_answer(row.entry),
        figures=[
            FigureAnswer(
                metric=figure.metric,
                structure=figure.structure,
                mean=figure.mean if math.isfinite(figure.mean) else None,
                interval=(figure.low, figure.high) if math.isfinite(figure.low) else None,
                rank=figure.rank,
                missing=figure.missing,
            )
            for figure in row.figures
        ],
    )


def _text(moment: datetime) -> str:
    return moment.isoformat()

"""Hangs containers and challenges on the room: rows, runtime, jobs, and their two services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from irp.training.v1 import (
    challenge_service_pb2,
    challenge_service_pb2_grpc,
    container_service_pb2,
    container_service_pb2_grpc,
)
from irp_chassis.jobs import Job
from irp_chassis.room import Room

from irp_training.adapters.challenge_rows import ENTRY_JOB, ChallengeRows
from irp_training.adapters.challenge_rpc import ChallengeServicer, ChallengeVerbs
from irp_training.adapters.container_rows import CONFORMANCE_JOB, CONTAINER_RUN_JOB, ContainerRows
from irp_training.adapters.container_rpc import ContainerServicer, Receiving
from irp_training.adapters.scratch import Scratch
from irp_training.app.ask_container import AskContainer
from irp_training.app.challenge_ports import Examiner
from irp_training.app.conform_container import ConformContainer
from irp_training.app.container_ports import Runtime
from irp_training.app.create_challenge import CreateChallenge
from irp_training.app.create_dataset import CreateDataset
from irp_training.app.enter_challenge import EnterChallenge
from irp_training.app.ports import Clock, Store
from irp_training.app.promote_container import PromoteContainer
from irp_training.app.promote_meanwhile import PromoteMeanwhile
from irp_training.app.promote_winner import PromoteWinner
from irp_training.app.read_leaderboard import ReadLeaderboard
from irp_training.app.register_container import RegisterContainer
from irp_training.app.run_container import RunContainer
from irp_training.app.score_entry import ScoreEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """What containers and challenges use of the rest of the room.

    Attributes:
        runtime: where containers run.
        scratch: where archives lie while they come.
        archive_bytes: largest archive.
        concurrency: containers that run at the same time.
    """

    store: Store
    examiner: Examiner
    create_dataset: CreateDataset
    promote: PromoteMeanwhile
    now: Clock
    runtime: Runtime
    scratch: Scratch
    archive_bytes: int
    concurrency: int


class Verb(Protocol):
    """Works on one thing, named by two words, until it has ended."""

    async def __call__(self, one: Any, two: Any, /, *, turn: int = 1) -> None:
        """Work; `turn`: of how many processes this is the one, from 1."""
        ...


def hang_containers(room: Room[Any], beside: Neighbours) -> None:
    """Serve ContainerService, and work on conformance tests and runs."""
    rows = ContainerRows(room.database)
    _work(room, CONFORMANCE_JOB, ("name", "version"), ConformContainer(rows, beside.runtime, beside.now))
    run = RunContainer(rows, room.objects, beside.runtime, beside.now)
    _work(room, CONTAINER_RUN_JOB, ("project", "run"), run, concurrency=beside.concurrency)
    servicer = ContainerServicer(
        rows,
        RegisterContainer(rows, room.objects, beside.now, beside.archive_bytes),
        AskContainer(rows, beside.now),
        PromoteContainer(rows, beside.now),
        Receiving(scratch=beside.scratch, limit=beside.archive_bytes),
    )
    room.serve(
        container_service_pb2_grpc.add_ContainerServiceServicer_to_server,
        servicer,
        file=container_service_pb2.DESCRIPTOR,
    )
    room.refers_to(rows.references)


def hang_challenges(room: Room[Any], beside: Neighbours) -> None:
    """Serve ChallengeService, and score entries."""
    rows, containers = ChallengeRows(room.database), ContainerRows(room.database)
    score = ScoreEntry(
        rows,
        beside.store,
        containers,
        room.objects,
        examiner=beside.examiner,
        runtime=beside.runtime,
        now=beside.now,
    )
    _work(room, ENTRY_JOB, ("challenge", "entry"), score)
    leaderboard = ReadLeaderboard(rows, beside.now)
    verbs = ChallengeVerbs(
        create=CreateChallenge(rows, room.objects, beside.create_dataset, beside.now),
        enter=EnterChallenge(rows, beside.store, containers, room.objects, beside.now),
        leaderboard=leaderboard,
        promote=PromoteWinner(leaderboard, beside.promote, PromoteContainer(containers, beside.now)),
    )
    room.serve(
        challenge_service_pb2_grpc.add_ChallengeServiceServicer_to_server,
        ChallengeServicer(rows, verbs, beside.now),
        file=challenge_service_pb2.DESCRIPTOR,
    )


def _work(room: Room[Any], kind: str, keys: tuple[str, str], verb: Verb, *, concurrency: int = 1) -> None:
    async def on_job(job: Job) -> None:
        await verb(*(job.payload[key] for key in keys), turn=job.attempt)

    room.job(kind, on_job, concurrency=concurrency)

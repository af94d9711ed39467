"""Composition root of training: settings -> adapters -> verbs -> doors."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import torch
from irp.annotation.v1.events_pb2 import MaskAccepted
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.ingest.v1.events_pb2 import SeriesDeleted
from irp.quality.v1.events_pb2 import QualityRated, SeriesAssessed
from irp.training.v1 import training_service_pb2, training_service_pb2_grpc
from irp_chassis.jobs import Job
from irp_chassis.room import Room, run_room

from irp_training.adapters.change import AUTOMATIC_JOB, PRECISION_JOB, RUN_JOB
from irp_training.adapters.container_runtime import OciRuntime, find_runtime
from irp_training.adapters.containers import Neighbours, hang_challenges, hang_containers
from irp_training.adapters.db import METADATA
from irp_training.adapters.deleted_series import DeletedSeries
from irp_training.adapters.events import Events
from irp_training.adapters.kubernetes_runtime import Cluster, KubernetesRuntime
from irp_training.adapters.rpc import TrainingServicer, Verbs
from irp_training.adapters.store import SqlStore
from irp_training.adapters.worker import ProcessWorker
from irp_training.app.ask_precision import AskPrecision
from irp_training.app.cancel_run import CancelRun
from irp_training.app.configuration import Configurations
from irp_training.app.container_ports import Runtime
from irp_training.app.create_dataset import CreateDataset
from irp_training.app.finish_run import FinishRun
from irp_training.app.guard_precision import GuardPrecision
from irp_training.app.judge_candidate import JudgeCandidate
from irp_training.app.promote_model import PromoteModel
from irp_training.app.register_model import RegisterModel
from irp_training.app.register_shipped import RegisterShipped
from irp_training.app.remember_mask import RememberMask
from irp_training.app.remember_project import RememberProject
from irp_training.app.remember_verdict import RememberVerdict
from irp_training.app.rollback_model import RollbackModel
from irp_training.app.start_automatic_run import StartAutomaticRun
from irp_training.app.start_run import StartRun
from irp_training.app.train_run import TrainRun
from irp_training.app.watch_run import WatchRun
from irp_training.settings import Settings

CLUSTER_API = "https://kubernetes.default.svc"
CLUSTER_FILES = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # a projected volume of the Deployment
TRIAL_ATTEMPTS = 5  # then a trial whose process always dies has failed


def now() -> str:
    """RFC 3339 UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


async def compose(room: Room[Settings]) -> None:
    """Hang the room's doors on its parts."""
    store, objects = SqlStore(room.database), room.objects
    configurations = Configurations(objects)
    worker = ProcessWorker(room.settings.training_device or ("cuda" if torch.cuda.is_available() else "cpu"))
    judge = JudgeCandidate(store, objects, worker)
    create_dataset = CreateDataset(store, objects, configurations)
    verbs = Verbs(
        create_dataset=create_dataset,
        start_run=StartRun(store, create_dataset, now),
        cancel_run=CancelRun(store, now),
        watch_run=WatchRun(store),
        register=RegisterModel(store, objects, now),
        promote=PromoteModel(store, judge),
        rollback=RollbackModel(store),
        ask_precision=AskPrecision(store, create_dataset, now),
    )
    finish = FinishRun(store, objects, judge, now)
    train = TrainRun(store, objects, worker, finish, room.settings.training_threads)
    begin = StartAutomaticRun(store, configurations, verbs.start_run)
    _read_facts(room, store, configurations)
    _work(room, train, begin)
    _guard(room, GuardPrecision(store, objects, worker, now, room.settings.training_threads))
    _hang_containers(room, store, worker, verbs)
    room.on_stop(worker.stop)
    deleted = DeletedSeries(room.database, room.objects)
    room.on(SeriesDeleted, deleted.forget)
    room.refers_to_series(deleted.references)
    room.refers_to(store.references)
    room.serve(
        training_service_pb2_grpc.add_TrainingServiceServicer_to_server,
        TrainingServicer(store, verbs),
        file=training_service_pb2.DESCRIPTOR,
    )
    await RegisterShipped(verbs.register)(await asyncio.to_thread(_shipped, room.settings.shipped_models_dir))


def _read_facts(room: Room[Settings], store: SqlStore, configurations: Configurations) -> None:
    events = Events(RememberMask(store, configurations), RememberVerdict(store), RememberProject(store))
    room.on(MaskAccepted, events.on_mask_accepted)
    room.on(SeriesAssessed, events.on_series_assessed)
    room.on(ProjectConfigured, events.on_project_configured)
    room.on(QualityRated, events.on_quality_rated)


def _work(room: Room[Settings], train: TrainRun, begin: StartAutomaticRun) -> None:
    async def on_run(job: Job) -> None:
        await train(job.payload["project"], job.payload["run"])

    async def on_automatic(job: Job) -> None:
        await begin(job.payload["project"], job.payload["key"])

    room.job(RUN_JOB, on_run)
    room.job(AUTOMATIC_JOB, on_automatic)


def _guard(room: Room[Settings], guard: GuardPrecision) -> None:
    async def on_trial(job: Job) -> None:
        last = job.attempt >= TRIAL_ATTEMPTS
        await guard(job.payload["name"], job.payload["version"], job.payload["precision"], last=last)

    room.job(PRECISION_JOB, on_trial)


def _hang_containers(room: Room[Settings], store: SqlStore, worker: ProcessWorker, verbs: Verbs) -> None:
    told = room.settings
    beside = Neighbours(
        store=store,
        examiner=worker,
        create_dataset=verbs.create_dataset,
        promote=verbs.promote,
        now=now,
        runtime=_runtime(room),
        scratch=told.container_scratch_dir,
        archive_bytes=told.container_archive_bytes,
        concurrency=told.container_concurrency,
    )
    hang_containers(room, beside)
    hang_challenges(room, beside)


def _runtime(room: Room[Settings]) -> Runtime:
    told = room.settings
    if not told.container_namespace:
        return OciRuntime(room.objects, find_runtime(told.container_runtime), told.container_scratch_dir)
    cluster = Cluster(
        address=CLUSTER_API,
        token=CLUSTER_FILES / "token",
        authority=CLUSTER_FILES / "ca.crt",
        namespace=told.container_namespace,
        carrier=told.container_carrier_image,
        storage_class=told.container_storage_class,
    )
    return KubernetesRuntime(room.objects, cluster)


def _shipped(folder: Path | None) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in folder.glob("*.zip")} if folder and folder.is_dir() else {}


def main() -> None:
    """Live until SIGTERM."""
    run_room("training", Settings, compose, metadata=METADATA, migrations="irp_training.adapters.migrations")


if __name__ == "__main__":
    main()

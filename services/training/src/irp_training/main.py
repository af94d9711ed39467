"""Composition root of training: settings -> adapters -> verbs -> doors."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
from irp.annotation.v1.events_pb2 import MaskAccepted
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.inference.v1.events_pb2 import MaskProposed
from irp.ingest.v1.events_pb2 import ClinicalRecorded, SeriesDeleted
from irp.quality.v1.events_pb2 import QualityRated, SeriesAssessed
from irp.training.v1 import training_service_pb2, training_service_pb2_grpc
from irp_chassis.jobs import Job
from irp_chassis.room import Room, run_room
from irp_chassis.workers import in_worker

from irp_training.adapters.case_cache import CaseCache
from irp_training.adapters.change import APPRAISAL_JOB, AUTOMATIC_JOB, PRECISION_JOB, RUN_JOB
from irp_training.adapters.container_runtime import OciRuntime, find_runtime
from irp_training.adapters.containers import Neighbours, hang_challenges, hang_containers
from irp_training.adapters.db import METADATA
from irp_training.adapters.deleted_series import DeletedSeries
from irp_training.adapters.events import Events
from irp_training.adapters.kubernetes_runtime import Cluster, KubernetesRuntime
from irp_training.adapters.model_keys import ModelKeys, key_in
from irp_training.adapters.queue import run_order
from irp_training.adapters.room_metrics import RoomMetrics
from irp_training.adapters.rpc import TrainingServicer, Verbs
from irp_training.adapters.sandbox import Sandbox
from irp_training.adapters.store import SqlStore
from irp_training.adapters.watched import CORRECTION_JOB, VALIDATION_JOB
from irp_training.adapters.worker import ProcessWorker
from irp_training.app.appraise_model import AppraiseModel
from irp_training.app.approvals import Approvals
from irp_training.app.ask_precision import AskPrecision
from irp_training.app.ask_report import AskReport
from irp_training.app.ask_validation import AskValidation
from irp_training.app.cancel_run import CancelRun
from irp_training.app.configuration import Configurations
from irp_training.app.container_ports import Runtime
from irp_training.app.create_dataset import CreateDataset
from irp_training.app.decide_promotion import DecidePromotion
from irp_training.app.describe_dataset import DescribeDataset
from irp_training.app.export_run import ExportRun
from irp_training.app.finish_run import FinishRun
from irp_training.app.frozen_set import FrozenSet
from irp_training.app.guard_precision import GuardPrecision
from irp_training.app.judge_candidate import JudgeCandidate
from irp_training.app.keep_apart import KeepApart
from irp_training.app.keep_schedule import KeepSchedule
from irp_training.app.notice_correction import NoticeCorrection
from irp_training.app.ports import Files
from irp_training.app.prioritise_run import PrioritiseRun
from irp_training.app.promote_model import PromoteModel
from irp_training.app.register_model import RegisterModel
from irp_training.app.register_shipped import RegisterShipped
from irp_training.app.remember_clinical import RememberClinical
from irp_training.app.remember_mask import RememberMask
from irp_training.app.remember_project import RememberProject
from irp_training.app.remember_verdict import RememberVerdict
from irp_training.app.rollback_model import RollbackModel
from irp_training.app.sign_known import SignKnown
from irp_training.app.start_automatic_run import StartAutomaticRun
from irp_training.app.start_run import StartRun
from irp_training.app.tell_history import TellHistory
from irp_training.app.tell_policy import TellPolicy
from irp_training.app.train_run import Terms, TrainRun
from irp_training.app.try_bundle import TryBundle
from irp_training.app.validate_model import ValidateModel
from irp_training.app.watch_run import WatchRun
from irp_training.domain.price import Price
from irp_training.settings import Settings

CLOCK_LOOK_S = 20.0  # seconds between two looks at schedules
CLUSTER_API = "https://kubernetes.default.svc"
CLUSTER_FILES = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # a projected volume of the Deployment
TRIAL_ATTEMPTS = 5  # then a trial, an appraisal or a validation whose process always dies has failed


def now() -> str:
    """RFC 3339 UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


async def compose(room: Room[Settings]) -> None:
    """Hang the room's doors on its parts."""
    keys = ModelKeys(await asyncio.to_thread(key_in, room.settings.model_key_file), room.settings.code_commit)
    store, objects = SqlStore(room.database, keys.sign), room.objects
    configurations = Configurations(objects)
    device = room.settings.training_device or ("cuda" if torch.cuda.is_available() else "cpu")
    worker = ProcessWorker(device, room.settings.training_processes)
    judge = JudgeCandidate(store, objects, worker)
    approvals = Approvals(store, configurations, room.settings.training_approvals)
    create_dataset = CreateDataset(store, objects, configurations)
    sandbox, frozen_set = _sandbox(room.settings), FrozenSet(store, create_dataset)
    price = Price(per_hour=room.settings.training_price_per_hour, currency=room.settings.training_currency)
    verbs = Verbs(
        create_dataset=create_dataset,
        describe_dataset=DescribeDataset(store, objects, configurations),
        tell_policy=TellPolicy(store, configurations, time.time),
        start_run=StartRun(store, create_dataset, KeepApart(store, objects), now, price),
        cancel_run=CancelRun(store, now),
        prioritise_run=PrioritiseRun(store),
        watch_run=WatchRun(store),
        register=RegisterModel(store, objects, approvals, now, sandbox, frozen_set),
        promote=PromoteModel(store, judge, approvals, now),
        rollback=RollbackModel(store, now),
        decide=DecidePromotion(store, now),
        history=TellHistory(store, now),
        ask_precision=AskPrecision(store, create_dataset, now),
        ask_report=AskReport(store, frozen_set, now),
        try_bundle=TryBundle(sandbox),
        export_run=ExportRun(store, objects, in_worker),
        ask_validation=AskValidation(store, objects, create_dataset, now),
    )
    terms = Terms(threads=room.settings.training_threads, price=price)
    finish = FinishRun(store, objects, judge, approvals, now)
    train = TrainRun(store, objects, worker, finish, terms, _files(room))
    begin = StartAutomaticRun(store, configurations, verbs.start_run)
    notice = NoticeCorrection(store, objects, in_worker, now)
    _read_facts(room, store, configurations, notice)
    _work(room, train, begin)
    _validate(room, ValidateModel(store, objects, worker, keys.sign_report, now))
    _guard(room, GuardPrecision(store, objects, worker, now, room.settings.training_threads))
    _appraise(room, AppraiseModel(store, objects, sandbox, now))
    room.spawn(RoomMetrics(room.database).run)
    _hang_containers(room, store, worker, verbs)
    room.on_stop(worker.stop)
    _look_at_the_clock(room, KeepSchedule(store, configurations, time.time))
    deleted = DeletedSeries(room.database, room.objects)
    room.on(SeriesDeleted, deleted.forget)
    room.refers_to_series(deleted.references)
    room.refers_to(store.references)
    room.serve(
        training_service_pb2_grpc.add_TrainingServiceServicer_to_server,
        TrainingServicer(store, verbs, keys.jwks),
        file=training_service_pb2.DESCRIPTOR,
    )
    if keys.jwks:
        await SignKnown(store)()
    await RegisterShipped(RegisterModel(store, objects, approvals, now))(
        await asyncio.to_thread(_shipped, room.settings.shipped_models_dir)
    )


def _files(room: Room[Settings]) -> Files:
    folder, limit_bytes = room.settings.training_cache_dir, room.settings.training_cache_bytes
    return CaseCache(room.objects, folder, limit_bytes) if folder else room.objects


def _read_facts(
    room: Room[Settings], store: SqlStore, configurations: Configurations, notice: NoticeCorrection
) -> None:
    async def on_correction(job: Job) -> None:
        await notice.compare(**job.payload)

    events = Events(
        RememberMask(store, configurations),
        RememberVerdict(store),
        RememberProject(store),
        RememberClinical(store),
        notice,
    )
    room.on(MaskProposed, events.on_mask_proposed)
    room.job(CORRECTION_JOB, on_correction)
    room.on(MaskAccepted, events.on_mask_accepted)
    room.on(SeriesAssessed, events.on_series_assessed)
    room.on(ProjectConfigured, events.on_project_configured)
    room.on(QualityRated, events.on_quality_rated)
    room.on(ClinicalRecorded, events.on_clinical_recorded)


def _work(room: Room[Settings], train: TrainRun, begin: StartAutomaticRun) -> None:
    async def on_run(job: Job) -> None:
        await train(job.payload["project"], job.payload["run"])

    async def on_automatic(job: Job) -> None:
        await begin(job.payload["project"], job.payload["key"])

    room.job(RUN_JOB, on_run, first=run_order())
    room.job(AUTOMATIC_JOB, on_automatic)


def _look_at_the_clock(room: Room[Settings], keep_schedule: KeepSchedule) -> None:
    async def look(stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await keep_schedule()
            except Exception as error:  # a part that is down for a moment: the next look makes up for this one
                room.log.error("schedule_not_kept", exc_info=error)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stopping.wait(), CLOCK_LOOK_S)

    room.spawn(look)


def _guard(room: Room[Settings], guard: GuardPrecision) -> None:
    async def on_trial(job: Job) -> None:
        last = job.attempt >= TRIAL_ATTEMPTS
        await guard(job.payload["name"], job.payload["version"], job.payload["precision"], last=last)

    room.job(PRECISION_JOB, on_trial)


def _appraise(room: Room[Settings], appraise: AppraiseModel) -> None:
    async def on_appraisal(job: Job) -> None:
        await appraise(job.payload["name"], job.payload["version"], last=job.attempt >= TRIAL_ATTEMPTS)

    room.job(APPRAISAL_JOB, on_appraisal)


def _sandbox(settings: Settings) -> Sandbox:
    return Sandbox(settings.sandbox_memory_bytes, settings.sandbox_seconds, settings.training_threads)


def _validate(room: Room[Settings], validate: ValidateModel) -> None:
    async def on_validation(job: Job) -> None:
        last = job.attempt >= TRIAL_ATTEMPTS
        await validate(job.payload["name"], job.payload["version"], job.payload["id"], last=last)

    room.job(VALIDATION_JOB, on_validation)


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

"""Composition root of training: settings -> adapters -> verbs -> doors."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from irp.annotation.v1.events_pb2 import MaskAccepted
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.inference.v1.events_pb2 import MaskProposed, ServingConfigured
from irp.ingest.v1.events_pb2 import ClinicalRecorded, SeriesDeleted
from irp.quality.v1.events_pb2 import QualityRated, SeriesAssessed
from irp.training.v1 import training_service_pb2, training_service_pb2_grpc
from irp_chassis.jobs import Job
from irp_chassis.objects import Objects
from irp_chassis.room import Room, run_room
from irp_chassis.workers import in_worker

from irp_training.adapters.case_cache import CaseCache
from irp_training.adapters.container_rows import ContainerRows
from irp_training.adapters.containers import Neighbours, hang_challenges, hang_containers
from irp_training.adapters.db import METADATA
from irp_training.adapters.deleted_series import DeletedSeries
from irp_training.adapters.desk import Verbs
from irp_training.adapters.events import Events
from irp_training.adapters.jobs import judge_versions, learn, look_at_the_clock
from irp_training.adapters.model_keys import ModelKeys, key_in
from irp_training.adapters.room_metrics import RoomMetrics
from irp_training.adapters.rpc import TrainingServicer
from irp_training.adapters.runtimes import runtime_of
from irp_training.adapters.sandbox import Sandbox
from irp_training.adapters.sandbox_bounds import SandboxBounds
from irp_training.adapters.scratch import Scratch
from irp_training.adapters.serving_rows import ServingRows
from irp_training.adapters.store import SqlStore
from irp_training.adapters.watched import CORRECTION_JOB
from irp_training.adapters.worker import ProcessWorker
from irp_training.app.appraise_model import AppraiseModel
from irp_training.app.approvals import Approvals
from irp_training.app.ask_container import AskContainer
from irp_training.app.ask_precision import AskPrecision
from irp_training.app.ask_report import AskReport
from irp_training.app.ask_validation import AskValidation
from irp_training.app.cancel_run import CancelRun
from irp_training.app.configuration import Configurations
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
from irp_training.app.promote_meanwhile import PromoteMeanwhile
from irp_training.app.promote_model import PromoteModel
from irp_training.app.propose_with_container import ProposeWithContainer
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
from irp_training.domain.judging.bounds import Bounds
from irp_training.domain.price import Price
from irp_training.settings import Settings


def now() -> str:
    """RFC 3339 UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the verbs share."""

    keys: ModelKeys
    store: SqlStore
    servings: ServingRows
    objects: Objects
    configurations: Configurations
    worker: ProcessWorker
    inspect: Sandbox
    judge: JudgeCandidate
    approvals: Approvals
    create_dataset: CreateDataset
    frozen_set: FrozenSet
    price: Price
    bounds: Bounds


async def compose(room: Room[Settings]) -> None:
    """Hang the room's doors on its parts."""
    parts = _parts(room, await asyncio.to_thread(key_in, room.settings.model_key_file))
    verbs = _verbs(parts)
    _read_facts(room, parts)
    _work(room, parts, verbs)
    _hang_containers(room, parts, verbs)
    room.spawn(RoomMetrics(room.database).run)
    room.on_stop(parts.worker.stop)
    room.on_stop(verbs.promote.close)
    deleted = DeletedSeries(room.database, room.objects, now)
    room.on(SeriesDeleted, deleted.forget)
    room.refers_to_series(deleted.references)
    room.refers_to(parts.store.references)
    room.serve(
        training_service_pb2_grpc.add_TrainingServiceServicer_to_server,
        TrainingServicer(parts.store, verbs, parts.keys.jwks),
        file=training_service_pb2.DESCRIPTOR,
    )
    if parts.keys.jwks:
        await SignKnown(parts.store)()
    shipped = await asyncio.to_thread(_shipped, room.settings.shipped_models_dir)
    await RegisterShipped(RegisterModel(parts.store, parts.objects, parts.approvals, now))(shipped)


def _parts(room: Room[Settings], key: bytes | None) -> Parts:
    told, keys = room.settings, ModelKeys(key, room.settings.code_commit)
    store, configurations = SqlStore(room.database, keys.sign), Configurations(room.objects)
    device = told.training_device or ("cuda" if torch.cuda.is_available() else "cpu")
    confines = SandboxBounds(
        memory_bytes=told.sandbox_memory_bytes, seconds=told.sandbox_seconds, threads=told.training_threads
    )
    worker = ProcessWorker(device, confines, told.training_processes)
    create_dataset = CreateDataset(store, room.objects, configurations)
    return Parts(
        keys=keys,
        store=store,
        servings=ServingRows(room.database, now),
        objects=room.objects,
        configurations=configurations,
        worker=worker,
        inspect=Sandbox(confines),
        judge=JudgeCandidate(store, room.objects, worker, told.bounds),
        approvals=Approvals(store, configurations, told.training_approvals),
        create_dataset=create_dataset,
        frozen_set=FrozenSet(store, create_dataset),
        price=Price(per_hour=told.training_price_per_hour, currency=told.training_currency),
        bounds=told.bounds,
    )


def _verbs(parts: Parts) -> Verbs:
    store, objects, create_dataset = parts.store, parts.objects, parts.create_dataset
    return Verbs(
        create_dataset=create_dataset,
        describe_dataset=DescribeDataset(store, objects, parts.configurations),
        tell_policy=TellPolicy(store, parts.configurations, time.time),
        start_run=StartRun(store, create_dataset, KeepApart(store, objects), now, parts.price, parts.bounds),
        cancel_run=CancelRun(store, now),
        prioritise_run=PrioritiseRun(store),
        watch_run=WatchRun(store),
        register=RegisterModel(store, objects, parts.approvals, now, parts.inspect, parts.frozen_set),
        promote=PromoteMeanwhile(PromoteModel(store, parts.judge, parts.approvals, now)),
        rollback=RollbackModel(store, now),
        decide=DecidePromotion(store, now),
        history=TellHistory(store, parts.servings),
        ask_precision=AskPrecision(store, create_dataset, now),
        ask_report=AskReport(store, parts.frozen_set, now),
        try_bundle=TryBundle(parts.inspect),
        export_run=ExportRun(store, objects, in_worker),
        ask_validation=AskValidation(store, objects, create_dataset, now),
        approvals=parts.approvals,
    )


def _work(room: Room[Settings], parts: Parts, verbs: Verbs) -> None:
    store, objects, threads = parts.store, parts.objects, room.settings.training_threads
    finish = FinishRun(store, objects, parts.judge, parts.approvals, now)
    train = TrainRun(store, objects, parts.worker, finish, Terms(threads=threads, price=parts.price), _files(room))
    learn(room, train, StartAutomaticRun(store, parts.configurations, verbs.start_run))
    judge_versions(
        room,
        GuardPrecision(store, objects, parts.worker, now, threads),
        AppraiseModel(store, objects, parts.inspect, parts.worker, now),
        ValidateModel(store, objects, parts.worker, parts.keys.sign_report, now),
    )
    look_at_the_clock(room, KeepSchedule(store, parts.configurations, time.time))


def _files(room: Room[Settings]) -> Files:
    folder, limit_bytes = room.settings.training_cache_dir, room.settings.training_cache_bytes
    return CaseCache(room.objects, folder, limit_bytes) if folder else room.objects


def _read_facts(room: Room[Settings], parts: Parts) -> None:
    store, notice = parts.store, NoticeCorrection(parts.store, parts.objects, in_worker, now)

    async def on_correction(job: Job) -> None:
        await notice.compare(**job.payload)

    events = Events(
        RememberMask(store, parts.configurations),
        RememberVerdict(store),
        RememberProject(store),
        RememberClinical(store),
        notice,
        ProposeWithContainer(parts.configurations, AskContainer(ContainerRows(room.database), now)),
    )
    room.on(ServingConfigured, parts.servings.on_serving_configured)
    room.on(MaskProposed, events.on_mask_proposed)
    room.job(CORRECTION_JOB, on_correction)
    room.on(MaskAccepted, events.on_mask_accepted)
    room.on(SeriesAssessed, events.on_series_assessed)
    room.on(ProjectConfigured, events.on_project_configured)
    room.on(QualityRated, events.on_quality_rated)
    room.on(ClinicalRecorded, events.on_clinical_recorded)


def _hang_containers(room: Room[Settings], parts: Parts, verbs: Verbs) -> None:
    told, scratch = room.settings, Scratch(room.settings.container_scratch_dir)
    beside = Neighbours(
        store=parts.store,
        examiner=parts.worker,
        create_dataset=verbs.create_dataset,
        promote=verbs.promote,
        now=now,
        runtime=runtime_of(room, scratch),
        scratch=scratch,
        archive_bytes=told.container_archive_bytes,
        concurrency=told.container_concurrency,
    )
    hang_containers(room, beside)
    hang_challenges(room, beside)


def _shipped(folder: Path | None) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in folder.glob("*.zip")} if folder and folder.is_dir() else {}


def main() -> None:
    """Live until SIGTERM."""
    run_room("training", Settings, compose, metadata=METADATA, migrations="irp_training.adapters.migrations")


if __name__ == "__main__":
    main()

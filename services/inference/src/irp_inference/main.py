"""Puts the classification server together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.inference.v1 import (
    inference_service_pb2,
    inference_service_pb2_grpc,
    live_service_pb2,
    live_service_pb2_grpc,
    serving_service_pb2,
    serving_service_pb2_grpc,
)
from irp.inference.v1.events_pb2 import ServingConfigured
from irp.ingest.v1.events_pb2 import SeriesDeleted, SeriesStored
from irp.oip import model_repository_pb2, model_repository_pb2_grpc, open_inference_pb2
from irp.quality.v1.events_pb2 import SeriesAssessed
from irp.training.v1.events_pb2 import ModelPromoted, ModelRegistered, PrecisionGuarded
from irp_bundle import Features, Located, Segmented
from irp_chassis import Room, run_room
from irp_chassis.auth import AUDIENCE, OIP_AUDIENCE, TokenVerifier
from irp_chassis.room import VERSION
from irp_chassis.rpc import RpcServer
from irp_kernel.errors import Unavailable

from irp_inference.adapters.batches import DynamicBatches
from irp_inference.adapters.db import METADATA
from irp_inference.adapters.deleted_series import DeletedSeries
from irp_inference.adapters.engines import Engines
from irp_inference.adapters.events import Announcer, Facts, ProposalJob
from irp_inference.adapters.live import LiveServicer
from irp_inference.adapters.oip.grpc_door import OpenInference, add_to_server
from irp_inference.adapters.oip.nets import Nets
from irp_inference.adapters.oip.rest_door import create_rest
from irp_inference.adapters.precisions import GuardedEngines, GuardedRows, PrecisionFacts
from irp_inference.adapters.proposals import PROPOSAL, Proposals
from irp_inference.adapters.readmodels import CachedConfigurations, CachedVolumes, SqlSeries
from irp_inference.adapters.rpc import InferenceServicer
from irp_inference.adapters.serving import ServingServicer
from irp_inference.adapters.serving_rows import ServingRows
from irp_inference.adapters.shelf import Shelf
from irp_inference.adapters.signatures import Signatures, keys_in
from irp_inference.adapters.threads import Threads
from irp_inference.adapters.torch_networks import CudaOptions
from irp_inference.app.answer_series import AnswerSeries
from irp_inference.app.answer_wish import AnswerWish
from irp_inference.app.drive import Drive
from irp_inference.app.locations import Locations
from irp_inference.app.propose_series import ProposeSeries
from irp_inference.app.run_algorithm import RunAlgorithm
from irp_inference.app.segment_marked import SegmentMarked
from irp_inference.app.segment_series import SegmentSeries
from irp_inference.app.whoever_serves import WhoeverServes
from irp_inference.domain.cache import BytesBoundCache
from irp_inference.settings import Settings

WINDOWS_KEPT = 10_000
RESTORE_S = 120.0  # after which a room that still loads models is ready for those it has


async def compose(room: Room[Settings]) -> None:
    """Engine, verbs, doors, facts, jobs."""
    settings = room.settings
    engines = _engines(settings)
    batches = DynamicBatches(
        settings.queue_limit, most=settings.max_batch, wait_s=settings.max_wait_ms / 1000, at_once=engines.at_once
    )
    rows = ServingRows(room.database)
    guarded = GuardedRows(room.database)
    opens = GuardedEngines(engines, guarded, room.objects, settings.precision)
    shelf = Shelf(
        rows,
        room.objects,
        opens,
        budget_bytes=settings.model_memory_bytes,
        on_closed=batches.forget,
        signatures=Signatures(keys_in(settings.model_keys_file), required=settings.require_signed_models),
    )
    room.on_stop(engines.close)
    room.on_stop(shelf.close)
    series = SqlSeries(room.database)
    threads = Threads(settings.beside_threads)
    room.on_stop(threads.close)
    methods = _method_threads(settings)
    room.on_stop(methods.close)
    volumes = CachedVolumes(room.objects, settings.volume_cache_bytes)
    whoever, drive = WhoeverServes(shelf), Drive(batches, threads)
    looking = _looking(settings, series, volumes, shelf, drive, threads)
    segment = AnswerSeries(looking, whoever, threads)
    answer = AnswerWish(segment, RunAlgorithm(series, volumes, segment, methods))
    live = LiveServicer(
        answer, limit=settings.live_asks, ahead=settings.live_ahead, deadline_s=settings.live_deadline_s
    )
    facts = Facts(room.database, CachedConfigurations(room.objects), shelf)

    room.serve(
        inference_service_pb2_grpc.add_InferenceServiceServicer_to_server,
        InferenceServicer(answer, series, shelf, room.database, Proposals(room.database)),
        file=inference_service_pb2.DESCRIPTOR,
    )
    serving = ServingServicer(shelf, rows, segment, whoever, room.database)
    room.serve(
        serving_service_pb2_grpc.add_ServingServiceServicer_to_server, serving, file=serving_service_pb2.DESCRIPTOR
    )
    room.serve(live_service_pb2_grpc.add_LiveServiceServicer_to_server, live, file=live_service_pb2.DESCRIPTOR)
    room.spawn(live.leave)
    _serve_tensors(room, Nets(shelf, whoever, batches))
    _follow(room, facts, serving, PrecisionFacts(guarded, opens, shelf))
    room.job(
        PROPOSAL, ProposalJob(room.database, ProposeSeries(looking, whoever, room.objects, Announcer(room.database)))
    )
    room.spawn(batches.serve)
    await _restore(room, shelf)


def _engines(settings: Settings) -> Engines:
    return Engines(
        settings.engine,
        settings.threads,
        timeout_s=settings.engine_timeout_s,
        cache=settings.engine_cache,
        cache_bytes=settings.engine_cache_bytes,
        processes=settings.engine_processes,
        cuda=CudaOptions(
            channels_last=settings.cuda_channels_last,
            pinned=settings.cuda_pinned,
            graphs=settings.cuda_graphs,
            compiled=settings.cuda_compile,
        ),
    )


def _looking(
    settings: Settings, series: SqlSeries, volumes: CachedVolumes, shelf: Shelf, drive: Drive, threads: Threads
) -> SegmentSeries:
    """Who answers for models, with what is remembered."""
    windows: BytesBoundCache[Located] = BytesBoundCache(WINDOWS_KEPT)
    memory: BytesBoundCache[Segmented] = BytesBoundCache(settings.answer_cache_bytes)
    seen: BytesBoundCache[Features] = BytesBoundCache(settings.features_cache_bytes)
    marked = SegmentMarked(drive, threads, seen)
    return SegmentSeries(series, volumes, shelf, Locations(windows, drive), drive, memory, marked)


def _method_threads(settings: Settings) -> Threads:
    """Of their own, for a method may take half a minute; one is left for other projects."""
    each = max(1, settings.method_threads - 1)
    return Threads(settings.method_threads, each=each, limit=settings.queue_limit)


def _follow(room: Room[Settings], facts: Facts, serving: ServingServicer, guarded: PrecisionFacts) -> None:
    """What other rooms tell: one replica keeps it, every one follows it."""
    room.on(ProjectConfigured, facts.on_project_configured)
    room.on(SeriesStored, facts.on_series_stored)
    room.on(SeriesDeleted, DeletedSeries(room.database).forget)
    room.on(SeriesAssessed, facts.on_series_assessed)
    room.on(ModelRegistered, facts.on_model_registered)
    room.on(ModelPromoted, facts.on_model_promoted)
    room.on(PrecisionGuarded, guarded.on_precision_guarded)
    room.hear(ModelPromoted, facts.hear_model_promoted)
    room.hear(ServingConfigured, serving.hear)
    room.hear(PrecisionGuarded, guarded.hear_precision_guarded)


def _serve_tensors(room: Room[Settings], nets: Nets) -> None:
    """The Open Inference Protocol, by gRPC and by REST, on ports of their own."""
    settings, audiences = room.settings, (AUDIENCE, OIP_AUDIENCE)
    oip, door = RpcServer(settings, bind=settings.oip_bind, audiences=audiences), OpenInference(nets, VERSION)
    oip.add(add_to_server, door)
    oip.add(model_repository_pb2_grpc.add_ModelRepositoryServiceServicer_to_server, door)
    oip.describe(open_inference_pb2.DESCRIPTOR)
    oip.describe(model_repository_pb2.DESCRIPTOR)
    room.serve_beside(oip)
    room.spawn(door.leave)
    key = settings.auth_public_key_file
    verifier = TokenVerifier.from_file(key, audiences) if key else None
    rest = create_rest(nets, verifier, VERSION, settings.max_message_bytes)
    room.serve_http_beside(rest, settings.oip_http_bind)


async def _restore(room: Room[Settings], shelf: Shelf) -> None:
    """Ready when the models of before are back, or have said why not, or took too long; it serves meanwhile."""
    restoring = asyncio.create_task(shelf.restore())
    room.on_stop(_ended(restoring))
    until = time.monotonic() + RESTORE_S

    async def restored() -> None:
        if not restoring.done() and time.monotonic() < until:
            raise Unavailable("models are being loaded")

    room.ready_when("models", restored)


def _ended(task: asyncio.Task[None]) -> Callable[[], Awaitable[None]]:
    async def end() -> None:
        task.cancel()
        await asyncio.wait({task})

    return end


def main() -> None:
    """Run the classification server."""
    run_room("inference", Settings, compose, metadata=METADATA, migrations="irp_inference.adapters.migrations")


if __name__ == "__main__":
    main()

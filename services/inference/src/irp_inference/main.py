"""Puts the classification server together."""

from __future__ import annotations

from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.inference.v1 import inference_service_pb2, inference_service_pb2_grpc
from irp.ingest.v1.events_pb2 import SeriesDeleted, SeriesStored
from irp.quality.v1.events_pb2 import SeriesAssessed
from irp.training.v1.events_pb2 import ModelPromoted, ModelRegistered
from irp_bundle import Located
from irp_chassis import Room, run_room

from irp_inference.adapters.compute import OneByOne, Threads
from irp_inference.adapters.db import METADATA
from irp_inference.adapters.deleted_series import DeletedSeries
from irp_inference.adapters.events import PROPOSAL, Announcer, Facts, ProposalJob
from irp_inference.adapters.oip_doors import open_doors
from irp_inference.adapters.oip_infer import Infer
from irp_inference.adapters.oip_statistics import CountedPasses
from irp_inference.adapters.readmodels import CachedConfigurations, CachedVolumes, SqlSeries
from irp_inference.adapters.rpc import InferenceServicer
from irp_inference.adapters.shelf import Shelf
from irp_inference.adapters.shelf_repository import ShelfRepository
from irp_inference.app.drive import Drive
from irp_inference.app.propose_series import ProposeSeries
from irp_inference.app.segment_series import SegmentSeries
from irp_inference.domain.cache import BytesBoundCache
from irp_inference.settings import Settings

WINDOWS_KEPT = 10_000


async def compose(room: Room[Settings]) -> None:
    """Engine, verbs, doors, facts, jobs."""
    settings = room.settings
    passes = CountedPasses()
    batches = OneByOne(settings.queue_limit, passes)
    beside = Threads(settings.beside_threads)
    shelf = Shelf(
        room.database, room.objects, engine=settings.engine, threads=settings.threads, kept=settings.models_kept
    )
    series = SqlSeries(room.database)
    windows: BytesBoundCache[Located] = BytesBoundCache(WINDOWS_KEPT)
    volumes = CachedVolumes(room.objects, settings.volume_cache_bytes)
    segment = SegmentSeries(series, volumes, shelf, windows, Drive(batches, beside))
    facts = Facts(room.database, CachedConfigurations(room.objects), shelf)

    room.serve(
        inference_service_pb2_grpc.add_InferenceServiceServicer_to_server,
        InferenceServicer(segment, series, shelf, room.database),
        file=inference_service_pb2.DESCRIPTOR,
    )
    open_doors(room, Infer(shelf, batches, beside), ShelfRepository(room.database, shelf), passes)

    room.on(ProjectConfigured, facts.on_project_configured)
    room.on(SeriesStored, facts.on_series_stored)
    room.on(SeriesDeleted, DeletedSeries(room.database).forget)
    room.on(SeriesAssessed, facts.on_series_assessed)
    room.on(ModelRegistered, facts.on_model_registered)
    room.on(ModelPromoted, facts.on_model_promoted)
    room.hear(ModelPromoted, facts.hear_model_promoted)
    room.job(PROPOSAL, ProposalJob(room.database, ProposeSeries(segment, room.objects, Announcer(room.database))))
    room.spawn(batches.serve)


def main() -> None:
    """Run the classification server."""
    run_room("inference", Settings, compose, metadata=METADATA, migrations="irp_inference.adapters.migrations")


if __name__ == "__main__":
    main()

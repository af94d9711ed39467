"""Puts ingest together."""

from __future__ import annotations

from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.ingest.v1 import ingest_service_pb2, ingest_service_pb2_grpc
from irp_chassis import Room, run_room
from irp_kernel import ObjectRef
from sqlalchemy import select

from irp_ingest.adapters.db import INSTANCE, METADATA
from irp_ingest.adapters.events import OnProjectConfigured
from irp_ingest.adapters.index import SqlIndex
from irp_ingest.adapters.rpc import IngestServicer
from irp_ingest.adapters.secrets import ProjectSecrets
from irp_ingest.adapters.sweeper import KIND, Sweeper, assemble_job
from irp_ingest.adapters.workers import CachedConfigurations, WorkerBuilders, WorkerIntakes
from irp_ingest.app.assemble_series import AssembleSeries
from irp_ingest.app.record_clinical import RecordClinical
from irp_ingest.app.store_instance import StoreInstance
from irp_ingest.settings import Settings


async def compose(room: Room[Settings]) -> None:
    """Verbs, door, sweeper, job."""
    settings = room.settings
    index = SqlIndex(room.database, ProjectSecrets(room.database, settings.installation_key_file))
    configurations = CachedConfigurations(room.objects)
    store = StoreInstance(WorkerIntakes(), room.objects, index, configurations)
    servicer = IngestServicer(
        store,
        RecordClinical(index, index, configurations),
        room.database,
        max_instance_bytes=settings.max_instance_bytes,
        uploads_at_once=settings.uploads_at_once,
        in_flight=settings.cpu_workers + 2,
    )
    room.serve(
        ingest_service_pb2_grpc.add_IngestServiceServicer_to_server, servicer, file=ingest_service_pb2.DESCRIPTOR
    )
    room.on(ProjectConfigured, OnProjectConfigured(configurations))
    room.spawn(Sweeper(room.database).run)
    room.job(KIND, assemble_job(AssembleSeries(index, room.objects, WorkerBuilders())))

    async def references() -> list[ObjectRef]:
        async with room.database.read() as connection:
            return [ObjectRef(**row.object) for row in await connection.execute(select(INSTANCE.c.object))]

    room.refers_to(references)


def main() -> None:
    """Run ingest."""
    run_room("ingest", Settings, compose, metadata=METADATA, migrations="irp_ingest.adapters.migrations")


if __name__ == "__main__":
    main()

"""Puts ingest together."""

from __future__ import annotations

from datetime import UTC, datetime

from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.ingest.v1 import ingest_service_pb2, ingest_service_pb2_grpc
from irp_chassis import Room, run_room
from irp_deid.signed import public_jwk

from irp_ingest.adapters.db import METADATA
from irp_ingest.adapters.events import OnProjectConfigured
from irp_ingest.adapters.index import SqlIndex
from irp_ingest.adapters.memory import MemoryBudget
from irp_ingest.adapters.quarantine import KIND as DECIDED
from irp_ingest.adapters.quarantine import SqlQuarantine
from irp_ingest.adapters.remover import Remover
from irp_ingest.adapters.reports import SqlReports
from irp_ingest.adapters.rpc import IngestServicer
from irp_ingest.adapters.rpc_import import ImportDesk
from irp_ingest.adapters.rpc_quarantine import QuarantineDesk, carry_out_job
from irp_ingest.adapters.rpc_reports import ReportDesk
from irp_ingest.adapters.sealed import SealedInStore
from irp_ingest.adapters.secrets import ProjectSecrets, read_key, report_seed
from irp_ingest.adapters.sweeper import KIND, Sweeper, assemble_job
from irp_ingest.adapters.upload import TakeUpload
from irp_ingest.adapters.workers import (
    CachedConfigurations,
    WorkerBuilders,
    WorkerConverters,
    WorkerIntakes,
    WorkerMasks,
)
from irp_ingest.app.assemble_series import AssembleSeries
from irp_ingest.app.begin_upload import BeginUpload
from irp_ingest.app.carry_out import CarryOut
from irp_ingest.app.decide_quarantined import DecideQuarantined
from irp_ingest.app.import_series import ImportSeries
from irp_ingest.app.keep_apart import KeepApart
from irp_ingest.app.record_clinical import RecordClinical
from irp_ingest.app.store_instance import StoreInstance
from irp_ingest.app.take_report import TakeReport
from irp_ingest.app.write_report import WriteReport
from irp_ingest.settings import Settings

WAITING = 15  # files of one upload that wait for a worker, the store or the index


async def compose(room: Room[Settings]) -> None:
    """Verbs, door, sweeper, job."""
    settings = room.settings
    key = installation_key(settings)
    secrets = ProjectSecrets(room.database, key)
    index = SqlIndex(room.database, secrets)
    configurations = CachedConfigurations(room.objects)
    quarantine, sealed, masks = SqlQuarantine(room.database, _now), SealedInStore(room.objects, secrets), WorkerMasks()
    apart = KeepApart(quarantine, sealed, limit=settings.quarantine_limit)
    store = StoreInstance(WorkerIntakes(), room.objects, index, configurations, apart)
    budget = MemoryBudget(settings.upload_memory_bytes)
    in_flight = settings.cpu_workers + WAITING
    take = TakeUpload(store, budget, limit_bytes=settings.max_instance_bytes, in_flight=in_flight)
    record = RecordClinical(index, index, configurations)
    reports = report_desk(room, store, configurations, secrets, report_seed(key))
    desk = QuarantineDesk(decide=DecideQuarantined(quarantine, sealed, masks), rows=quarantine, sealed=sealed)
    imports = ImportDesk(
        run=ImportSeries(store, WorkerConverters(), max_bytes=settings.max_import_bytes, in_flight=in_flight),
        budget=budget,
        limit_bytes=settings.max_import_bytes,
    )
    servicer = IngestServicer(
        record, room.database, room.objects, take, reports, desk, imports, uploads_at_once=settings.uploads_at_once
    )
    room.serve(
        ingest_service_pb2_grpc.add_IngestServiceServicer_to_server, servicer, file=ingest_service_pb2.DESCRIPTOR
    )
    room.on(ProjectConfigured, OnProjectConfigured(configurations))
    room.spawn(Sweeper(room.database).run)
    room.spawn(Remover(room.database, room.objects).run)
    room.job(KIND, assemble_job(AssembleSeries(index, room.objects, WorkerBuilders())))
    room.job(DECIDED, carry_out_job(CarryOut(quarantine, sealed, masks, store, configurations)))
    room.refers_to(index.references)
    room.refers_to(quarantine.references)
    room.refers_to(reports.rows.references)


def report_desk(
    room: Room[Settings],
    store: StoreInstance,
    configurations: CachedConfigurations,
    secrets: ProjectSecrets,
    seed: bytes,
) -> ReportDesk:
    """What writes, takes and shows reports of uploads."""
    rows = SqlReports(room.database)
    return ReportDesk(
        begin=BeginUpload(store, configurations, rows, room.objects),
        write=WriteReport(room.objects, rows, seed, _now),
        take=TakeReport(store, room.objects, rows, _now),
        rows=rows,
        secrets=secrets,
        jwk=public_jwk(seed),
    )


def _now() -> datetime:
    return datetime.now(UTC)


def installation_key(settings: Settings) -> bytes:
    """The key in the environment, else the one in the file."""
    said = settings.installation_key.get_secret_value()
    return read_key(said or settings.installation_key_file.read_text("ascii"))


def main() -> None:
    """Run ingest."""
    run_room("ingest", Settings, compose, metadata=METADATA, migrations="irp_ingest.adapters.migrations")


if __name__ == "__main__":
    main()

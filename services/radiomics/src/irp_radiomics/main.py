"""Puts radiomics together."""

from __future__ import annotations

from irp.annotation.v1.events_pb2 import MaskAccepted
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.inference.v1.events_pb2 import MaskProposed
from irp.ingest.v1.events_pb2 import ClinicalRecorded, SeriesDeleted, SeriesStored
from irp.radiomics.v1 import radiomics_service_pb2, radiomics_service_pb2_grpc
from irp_chassis import Room, run_room

from irp_radiomics.adapters.db import METADATA
from irp_radiomics.adapters.deleted_series import DeletedSeries
from irp_radiomics.adapters.events import EXTRACTION_JOB, ExtractionJob, Facts, WorkerExtractor
from irp_radiomics.adapters.rpc import RadiomicsServicer
from irp_radiomics.adapters.store import Store
from irp_radiomics.app.extract_features import ExtractFeatures
from irp_radiomics.settings import Settings


async def compose(room: Room[Settings]) -> None:
    """Verbs, door, facts, jobs."""
    store, facts = Store(room.database), Facts(room.database, room.objects)
    room.serve(
        radiomics_service_pb2_grpc.add_RadiomicsServiceServicer_to_server,
        RadiomicsServicer(store, room.database, room.settings.heatmap_features),
        file=radiomics_service_pb2.DESCRIPTOR,
    )
    room.on(ProjectConfigured, facts.on_project_configured)
    room.on(SeriesStored, facts.on_series_stored)
    deleted = DeletedSeries(room.database)
    room.on(SeriesDeleted, deleted.forget)
    room.refers_to_series(deleted.references)
    room.on(MaskProposed, facts.on_mask_proposed)
    room.on(MaskAccepted, facts.on_mask_accepted)
    room.on(ClinicalRecorded, facts.on_clinical_recorded)
    room.job(EXTRACTION_JOB, ExtractionJob(ExtractFeatures(store, room.objects, WorkerExtractor())))
    room.refers_to(store.references)


def main() -> None:
    """Run radiomics."""
    run_room("radiomics", Settings, compose, metadata=METADATA, migrations="irp_radiomics.adapters.migrations")


if __name__ == "__main__":
    main()

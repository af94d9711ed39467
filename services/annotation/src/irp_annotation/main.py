"""Composition root of annotation: settings -> adapters -> verbs -> doors."""

from __future__ import annotations

from datetime import UTC, datetime

from irp.annotation.v1 import annotation_service_pb2, annotation_service_pb2_grpc
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.inference.v1.events_pb2 import MaskProposed
from irp.ingest.v1.events_pb2 import SeriesDeleted, SeriesStored
from irp.training.v1.events_pb2 import ContainerMaskProposed
from irp_chassis.room import Room, run_room
from irp_chassis.workers import in_worker

from irp_annotation.adapters.db import METADATA, CatalogueRows, ProjectRows
from irp_annotation.adapters.deleted_series import DeletedSeries
from irp_annotation.adapters.events import Facts
from irp_annotation.adapters.rpc import AnnotationServicer
from irp_annotation.app.create_segmentation import CreateSegmentation
from irp_annotation.app.export_segmentation import EncodeMask, ExportSegmentation
from irp_annotation.app.keep_proposal import KeepProposal
from irp_annotation.app.list_segmentations import ListSegmentations
from irp_annotation.app.remember_project import ProjectStructures
from irp_annotation.app.remember_series import RememberSeries
from irp_annotation.app.review_segmentation import ReviewSegmentation
from irp_annotation.settings import Settings


def now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(UTC)


async def compose(room: Room[Settings]) -> None:
    """Hang the room's doors on its parts."""
    catalogue, objects = CatalogueRows(room.database), room.objects
    structures = ProjectStructures(ProjectRows(room.database), objects)
    encode = EncodeMask(catalogue, objects, in_worker)
    remember, keep = RememberSeries(catalogue, objects), KeepProposal(catalogue, objects, in_worker)
    facts = Facts(structures, remember, keep, catalogue)
    room.on(ProjectConfigured, facts.on_project_configured)
    room.on(SeriesStored, facts.on_series_stored)
    deleted = DeletedSeries(room.database)
    room.on(SeriesDeleted, deleted.forget)
    room.refers_to_series(deleted.references)
    room.on(MaskProposed, facts.on_mask_proposed)
    room.on(ContainerMaskProposed, facts.on_mask_proposed)
    room.refers_to(catalogue.references)
    room.serve(
        annotation_service_pb2_grpc.add_AnnotationServiceServicer_to_server,
        AnnotationServicer(
            structures=structures,
            create=CreateSegmentation(catalogue, objects, in_worker, now),
            review=ReviewSegmentation(catalogue, now),
            list_all=ListSegmentations(catalogue),
            export=ExportSegmentation(catalogue, objects, encode),
            encode=encode,
        ),
        file=annotation_service_pb2.DESCRIPTOR,
    )


def main() -> None:
    """Live until SIGTERM."""
    run_room("annotation", Settings, compose, metadata=METADATA, migrations="irp_annotation.adapters.migrations")


if __name__ == "__main__":
    main()

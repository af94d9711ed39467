"""Composition root of quality: settings -> adapters -> verbs -> doors."""

from __future__ import annotations

from datetime import UTC, datetime

from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.ingest.v1.events_pb2 import SeriesDeleted, SeriesStored
from irp.quality.v1 import quality_service_pb2, quality_service_pb2_grpc
from irp_chassis.room import Room, run_room

from irp_quality.adapters.db import METADATA, AssessmentRows, FormRows, RatingRows
from irp_quality.adapters.deleted_series import DeletedSeries
from irp_quality.adapters.events import Events
from irp_quality.adapters.reports import StoredReports
from irp_quality.adapters.rpc import QualityServicer
from irp_quality.adapters.worker import measure
from irp_quality.app.assess_series import AssessSeries
from irp_quality.app.rate_series import RateSeries
from irp_quality.settings import Settings


def now() -> str:
    """RFC 3339 UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


async def compose(room: Room[Settings]) -> None:
    """Hang the room's doors on its parts."""
    assessments = AssessmentRows(room.database)
    forms, ratings = FormRows(room.database, room.objects), RatingRows(room.database)
    assess = AssessSeries(room.objects, measure, StoredReports(room.objects), assessments, now)
    rate = RateSeries(assessments, forms, ratings, now)
    events = Events(room.database, forms, assess, room.log)
    room.on(SeriesStored, events.on_series_stored)
    deleted = DeletedSeries(room.database)
    room.on(SeriesDeleted, deleted.forget)
    room.refers_to_series(deleted.references)
    room.on(ProjectConfigured, events.on_project_configured)
    room.job("assessment", events.work)
    room.refers_to(assessments.references)
    room.serve(
        quality_service_pb2_grpc.add_QualityServiceServicer_to_server,
        QualityServicer(assessments, ratings, rate),
        file=quality_service_pb2.DESCRIPTOR,
    )


def main() -> None:
    """Live until SIGTERM."""
    run_room("quality", Settings, compose, metadata=METADATA, migrations="irp_quality.adapters.migrations")


if __name__ == "__main__":
    main()

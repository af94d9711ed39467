"""Wire <-> domain, for ingest."""

from __future__ import annotations

import dataclasses
from typing import Any

from irp.common.v1 import types_pb2
from irp.ingest.v1 import events_pb2, ingest_service_pb2
from irp_chassis.wire import object_ref_to_proto, project_ref_from_proto
from irp_kernel import ObjectRef

from irp_ingest.app.outcome import Outcome
from irp_ingest.app.ports import Assembled, ProjectAt


def project_from_proto(message: types_pb2.ProjectRef) -> ProjectAt:
    """Message -> ProjectAt."""
    ref = project_ref_from_proto(message)
    return ProjectAt(id=ref.id, revision=ref.revision, configuration=ref.configuration)


def project_to_proto(project: ProjectAt) -> types_pb2.ProjectRef:
    """ProjectAt -> message."""
    return types_pb2.ProjectRef(
        id=project.id, revision=project.revision, configuration=object_ref_to_proto(project.configuration)
    )


def project_from_json(found: dict[str, Any]) -> ProjectAt:
    """JSON column -> ProjectAt."""
    return ProjectAt(id=found["id"], revision=found["revision"], configuration=ObjectRef(**found["configuration"]))


def result_to_json(result: Assembled) -> dict[str, Any]:
    """Assembled -> JSON column."""
    return dataclasses.asdict(result)


def series_to_proto(row: Any) -> events_pb2.Series:
    """Row of a series -> message; the volume's fields once it is assembled."""
    series = events_pb2.Series(
        study_uid=row.study_uid, series_uid=row.uid, patient=row.patient, site=row.site, age_years=-1
    )
    if row.result:
        found = row.result
        series.sequence_class = found["sequence_class"]
        for name in ("volume", "header", "instances"):
            getattr(series, name).CopyFrom(object_ref_to_proto(ObjectRef(**found[name])))
        series.shape.extend(found["shape"])
        series.spacing_mm.extend(found["spacing_mm"])
        for name, value in found["facts"].items():
            setattr(series, name, value)
    return series


def state_to_proto(row: Any) -> ingest_service_pb2.SeriesState:
    """Row of a series -> its state."""
    return ingest_service_pb2.SeriesState(
        state=row.state,
        reason=row.reason,
        message=row.message,
        series=series_to_proto(row),
        version=row.version,
        instances=row.count,
    )


def outcome_to_proto(outcome: Outcome) -> ingest_service_pb2.InstanceOutcome:
    """Outcome -> message."""
    return ingest_service_pb2.InstanceOutcome(
        study_uid=outcome.study_uid,
        series_uid=outcome.series_uid,
        sop_instance_uid=outcome.sop_uid,
        sop_class_uid=outcome.sop_class,
        failure_reason=outcome.failure,
        reason=outcome.reason,
        already_stored=outcome.repeated,
    )

"""Containers and their runs on the wire: one function each way."""

from __future__ import annotations

from irp.common.v1 import types_pb2
from irp.ingest.v1 import events_pb2 as ingest_pb2
from irp.training.v1 import container_service_pb2 as pb
from irp_chassis.wire import object_ref_from_proto, object_ref_to_proto

from irp_training.adapters.wire import progress_to_proto
from irp_training.domain.containers.container import Container, ContainerRun, Target


def container_to_proto(container: Container) -> pb.Container:
    """Container -> message."""
    return pb.Container(
        ref=types_pb2.ModelRef(name=container.name, version=container.version, digest=container.digest),
        image=container.image,
        archive=object_ref_to_proto(container.archive),
        sockets=container.sockets,
        reference=container.reference,
        licence=container.licence,
        state=container.state,
        progress=progress_to_proto(container.progress),
        report=container.report,
        reason=container.reason,
        message=container.message,
        actor=container.actor,
        created_at=container.created_at,
        finished_at=container.finished_at,
        model=object_ref_to_proto(container.model) if container.model else None,
        promoted_at=container.promoted_at,
        promoted_by=container.promoted_by,
    )


def target_from_proto(series: ingest_pb2.Series, version: int) -> Target:
    """The series of a request -> Target. Raises InvalidArgument if its volume is not whole."""
    return Target(series=series.series_uid, version=version, volume=object_ref_from_proto(series.volume))


def run_to_proto(run: ContainerRun) -> pb.ContainerRun:
    """ContainerRun -> message."""
    return pb.ContainerRun(
        id=run.id,
        container=types_pb2.ModelRef(name=run.name, version=run.version),
        series_uid=run.target.series,
        state=run.state,
        progress=progress_to_proto(run.progress),
        mask=object_ref_to_proto(run.mask) if run.mask else None,
        values=run.values,
        ended_with=run.ended_with,
        said=run.said,
        reason=run.reason,
        message=run.message,
        actor=run.actor,
        created_at=run.created_at,
        finished_at=run.finished_at,
    )

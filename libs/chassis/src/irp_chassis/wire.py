"""Kernel words on the wire and back: one function each way."""

from __future__ import annotations

from dataclasses import dataclass

from irp.common.v1 import types_pb2
from irp_kernel import ObjectRef, Slug
from irp_kernel.errors import InvalidArgument


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRef:
    """A project at one revision of its configuration."""

    id: Slug
    revision: int
    configuration: ObjectRef


def object_ref_to_proto(ref: ObjectRef) -> types_pb2.ObjectRef:
    """ObjectRef -> message."""
    return types_pb2.ObjectRef(
        bucket=ref.bucket, key=ref.key, sha256=ref.sha256, size=ref.size, media_type=ref.media_type
    )


def object_ref_from_proto(message: types_pb2.ObjectRef) -> ObjectRef:
    """Message -> ObjectRef.

    Raises:
        InvalidArgument: empty or not well-formed.
    """
    return ObjectRef(
        bucket=message.bucket,
        key=message.key,
        sha256=message.sha256,
        size=message.size,
        media_type=message.media_type,
    )


def project_ref_to_proto(project: ProjectRef) -> types_pb2.ProjectRef:
    """ProjectRef -> message."""
    return types_pb2.ProjectRef(
        id=project.id, revision=project.revision, configuration=object_ref_to_proto(project.configuration)
    )


def project_ref_from_proto(message: types_pb2.ProjectRef) -> ProjectRef:
    """Message -> ProjectRef.

    Raises:
        InvalidArgument: no project, or without its configuration.
    """
    if not message.id or not message.HasField("configuration"):
        raise InvalidArgument("the request names no project with its configuration")
    return ProjectRef(
        id=Slug(message.id),
        revision=message.revision,
        configuration=object_ref_from_proto(message.configuration),
    )

"""Messages <-> domain: one function each way."""

from __future__ import annotations

from irp.annotation.v1 import annotation_service_pb2 as pb
from irp.annotation.v1.events_pb2 import JudgedStructure, MaskAccepted
from irp.common.v1 import types_pb2
from irp.inference.v1.events_pb2 import MaskProposed
from irp.ingest.v1.events_pb2 import Series as SeriesMessage
from irp.ingest.v1.events_pb2 import SeriesStored
from irp.training.v1.events_pb2 import ContainerMaskProposed
from irp_chassis.wire import (
    ProjectRef,
    object_ref_from_proto,
    object_ref_to_proto,
    project_ref_from_proto,
    project_ref_to_proto,
)
from irp_kernel import Geometry, Slug, Uid

from irp_annotation.app.keep_proposal import Proposal
from irp_annotation.domain.provenance import ModelRef, Provenance
from irp_annotation.domain.segmentation import Segmentation
from irp_annotation.domain.series import ProjectRevision, Series


def project_from_proto(message: types_pb2.ProjectRef) -> ProjectRevision:
    """ProjectRef -> ProjectRevision."""
    project = project_ref_from_proto(message)
    return ProjectRevision(id=project.id, revision=project.revision, configuration=project.configuration)


def project_to_proto(project: ProjectRevision) -> types_pb2.ProjectRef:
    """ProjectRevision -> ProjectRef."""
    return project_ref_to_proto(
        ProjectRef(id=Slug(project.id), revision=project.revision, configuration=project.configuration)
    )


def series_from_proto(fact: SeriesStored, geometry: Geometry) -> Series:
    """SeriesStored and the grid of its volume -> Series."""
    told = fact.series
    return Series(
        project=fact.project.id,
        uid=Uid(told.series_uid),
        version=fact.aggregate.version,
        geometry=geometry,
        volume=object_ref_from_proto(told.volume),
        header=object_ref_from_proto(told.header),
        instances=object_ref_from_proto(told.instances),
        passport=told.SerializeToString(deterministic=True),
    )


def proposal_from_proto(fact: MaskProposed | ContainerMaskProposed) -> Proposal:
    """What a network or a challenge's container proposes -> Proposal."""
    return Proposal(
        project=project_from_proto(fact.project),
        series_uid=fact.series_uid,
        volume_version=fact.aggregate.version,
        volume_sha256=fact.volume_sha256,
        mask=object_ref_from_proto(fact.mask),
        provenance=provenance_from_proto(fact.provenance),
    )


def provenance_from_proto(message: types_pb2.Provenance) -> Provenance:
    """Message -> Provenance."""
    model = message.model
    return Provenance(
        actor=message.actor,
        at=message.at,
        software=message.software,
        model=ModelRef(name=model.name, version=model.version, digest=model.digest)
        if message.HasField("model")
        else None,
        inputs=dict(message.inputs),
        parameters=dict(message.parameters),
    )


def provenance_to_proto(provenance: Provenance) -> types_pb2.Provenance:
    """Provenance -> message."""
    model = provenance.model
    return types_pb2.Provenance(
        actor=provenance.actor,
        at=provenance.at,
        software=provenance.software,
        model=types_pb2.ModelRef(name=model.name, version=model.version, digest=model.digest) if model else None,
        inputs=provenance.inputs,
        parameters=provenance.parameters,
    )


def segmentation_to_proto(segmentation: Segmentation) -> pb.Segmentation:
    """Segmentation -> message."""
    return pb.Segmentation(
        id=segmentation.id,
        series_uid=segmentation.series_uid,
        version=segmentation.version,
        state=segmentation.state.value,
        mask=object_ref_to_proto(segmentation.mask),
        structures=[
            pb.StructureSummary(name=s.name, value=s.value, voxels=s.voxels, annotated=s.annotated)
            for s in segmentation.structures
        ],
        provenance=provenance_to_proto(segmentation.provenance),
        revision=segmentation.revision,
    )


def mask_accepted(segmentation: Segmentation, project: ProjectRevision, passport: bytes, number: int) -> MaskAccepted:
    """The fact of an acceptance.

    Args:
        segmentation: what was accepted.
        project: the revision in force.
        passport: the series as ingest described it.
        number: accepted versions of the series so far.
    """
    return MaskAccepted(
        project=project_to_proto(project),
        aggregate=types_pb2.Aggregate(id=segmentation.series_uid, version=number),
        series=SeriesMessage.FromString(passport),
        segmentation_id=segmentation.id,
        segmentation_version=segmentation.version,
        mask=object_ref_to_proto(segmentation.mask),
        provenance=provenance_to_proto(segmentation.provenance),
        structures=[JudgedStructure(name=s.name, pairs=s.annotated) for s in segmentation.structures],
    )

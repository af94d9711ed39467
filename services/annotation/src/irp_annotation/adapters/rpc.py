"""AnnotationService: the wire's side of the verbs."""

from __future__ import annotations

from typing import Any

from irp.annotation.v1 import annotation_service_pb2 as pb
from irp.annotation.v1 import annotation_service_pb2_grpc as pb_grpc
from irp.common.v1 import types_pb2
from irp_chassis.rpc import Caller, caller

from irp_annotation.adapters.wire import project_from_proto, provenance_from_proto, segmentation_to_proto
from irp_annotation.app.create_segmentation import CreateCommand, CreateSegmentation
from irp_annotation.app.export_segmentation import EncodeMask, ExportSegmentation
from irp_annotation.app.list_segmentations import ListSegmentations
from irp_annotation.app.remember_project import ProjectStructures
from irp_annotation.app.review_segmentation import ReviewSegmentation
from irp_annotation.domain.formats import Upload
from irp_annotation.domain.review import beginning, to_state
from irp_annotation.domain.series import ProjectRevision

WRITERS = ("owner", "annotator")


class AnnotationServicer(pb_grpc.AnnotationServiceServicer):
    """Serves irp.annotation.v1.AnnotationService."""

    def __init__(
        self,
        *,
        structures: ProjectStructures,
        create: CreateSegmentation,
        review: ReviewSegmentation,
        list_all: ListSegmentations,
        export: ExportSegmentation,
        encode: EncodeMask,
    ) -> None:
        self._structures, self._create, self._review = structures, create, review
        self._list, self._export, self._encode = list_all, export, encode

    async def CreateSegmentation(  # noqa: N802
        self, request: pb.CreateSegmentationRequest, _context: Any
    ) -> pb.CreateSegmentationResponse:
        """See the proto."""
        project, who = _enter(request.project, *WRITERS)
        command = CreateCommand(
            project=project,
            series_uid=request.series_uid,
            upload=Upload(
                media_type=request.media_type,
                body=request.body,
                label_table=request.label_table,
                annotated=request.annotated,
            ),
            structures=await self._structures(project),
            state=beginning(request.state),
            actor=who.subject,
            certainty=request.certainty,
            based_on=request.based_on,
        )
        return pb.CreateSegmentationResponse(segmentation=segmentation_to_proto(await self._create(command)))

    async def Review(self, request: pb.ReviewRequest, _context: Any) -> pb.ReviewResponse:  # noqa: N802
        """See the proto."""
        project, who = _enter(request.project, *WRITERS)
        state = to_state(request.state)
        found = await self._review(project, request.segmentation_id, state, who.subject, request.revision)
        return pb.ReviewResponse(segmentation=segmentation_to_proto(found))

    async def ListSegmentations(  # noqa: N802
        self, request: pb.ListSegmentationsRequest, _context: Any
    ) -> pb.ListSegmentationsResponse:
        """See the proto."""
        project, _ = _enter(request.project)
        if request.segmentation_id:
            found = [await self._list.one(project.id, request.segmentation_id)]
        else:
            found = list(await self._list(project.id, request.series_uid))
        return pb.ListSegmentationsResponse(segmentations=[segmentation_to_proto(one) for one in found])

    async def Export(self, request: pb.ExportRequest, _context: Any) -> pb.ExportResponse:  # noqa: N802
        """See the proto."""
        project, _ = _enter(request.project)
        exported = await self._export(project.id, request.segmentation_id, request.media_type)
        return pb.ExportResponse(body=exported.body, media_type=exported.media_type, file_name=exported.file_name)

    async def Encode(self, request: pb.EncodeRequest, _context: Any) -> pb.EncodeResponse:  # noqa: N802
        """See the proto."""
        project, _ = _enter(request.project)
        provenance = provenance_from_proto(request.provenance)
        body = await self._encode(project.id, request.series_uid, request.mask, request.media_type, provenance)
        return pb.EncodeResponse(body=body)


def _enter(message: types_pb2.ProjectRef, *roles: str) -> tuple[ProjectRevision, Caller]:
    """The project and who asks.

    Raises:
        PermissionDenied: a token of another project, or without one of the roles.
    """
    project, who = project_from_proto(message), caller()
    who.require_project(project.id)
    if roles:
        who.require_role(*roles)
    return project, who

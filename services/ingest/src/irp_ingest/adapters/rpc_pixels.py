"""What the gRPC door answers from pixels: frames, pictures, and instances in another transfer syntax."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from irp.ingest.v1 import ingest_service_pb2 as pb
from irp.ingest.v1 import ingest_service_pb2_grpc as pb_grpc
from irp_chassis.db import Database
from irp_chassis.objects import Objects
from irp_chassis.rpc import caller
from irp_chassis.workers import in_worker
from irp_kernel import ObjectRef
from irp_kernel.errors import InvalidArgument

from irp_ingest.adapters.convert import project_from_proto
from irp_ingest.adapters.pictures import images_of, pictures_of
from irp_ingest.app.ports import ProjectAt
from irp_ingest.domain.frames import frames_of, transcoded
from irp_ingest.domain.render import FORMATS, Picture, Window, render

PIECE = 1 << 20  # bytes of a file in one message
MAX_SIDE = 8192  # pixels of a picture
FUNCTIONS = ("linear", "linear-exact", "sigmoid")
MIDDLE = 0.5


class PixelsServicer(pb_grpc.IngestServiceServicer):
    """Reads the stored object, lets a worker decode it, answers."""

    def __init__(self, database: Database, objects: Objects) -> None:
        self._database, self._objects = database, objects

    async def Frames(self, request: pb.FramesRequest, context: Any) -> AsyncIterator[pb.FramesResponse]:  # noqa: N802
        """Frames in the order asked for."""
        file = await self._file(request.instance)
        frames, syntax = await in_worker(_frames, file, list(request.frames), request.decoded)
        for frame in frames:
            yield pb.FramesResponse(data=frame, transfer_syntax_uid=syntax)

    async def Render(self, request: pb.RenderRequest, context: Any) -> pb.RenderResponse:  # noqa: N802
        """A picture of one frame; of a series or study its middle instance."""
        wanted = picture_of(request)
        return pb.RenderResponse(data=await in_worker(render, await self._file(request.instance), wanted))

    async def RenderAll(  # noqa: N802
        self, request: pb.RenderAllRequest, context: Any
    ) -> AsyncIterator[pb.RenderAllResponse]:
        """Pictures one after the other; what is no image, or cannot be shown, is left out."""
        wanted, asked = picture_of(request.picture), request.picture.instance
        project = enter(asked.project).id
        uids = {"study_uid": asked.study_uid, "series_uid": asked.series_uid, "sop_uid": asked.sop_instance_uid}
        images = await images_of(self._database, project, uids)
        async for picture in pictures_of(self._objects, images, wanted, list(request.frames)):
            yield picture

    async def Transcode(  # noqa: N802
        self, request: pb.TranscodeRequest, context: Any
    ) -> AsyncIterator[pb.TranscodeResponse]:
        """The file in pieces."""
        file = await in_worker(transcoded, await self._file(request.instance))
        for at in range(0, len(file), PIECE):
            yield pb.TranscodeResponse(data=file[at : at + PIECE])

    async def _file(self, asked: pb.InstanceRef) -> bytes:
        return await self._objects.get(ObjectRef(**await self._object(enter(asked.project).id, asked)))

    async def _object(self, project: str, asked: pb.InstanceRef) -> dict[str, Any]:
        uids = {"study_uid": asked.study_uid, "series_uid": asked.series_uid, "sop_uid": asked.sop_instance_uid}
        rows = await images_of(self._database, project, uids)
        return dict(rows[int(len(rows) * MIDDLE)].object)


def enter(message: Any) -> ProjectAt:
    """The project of a request, if the caller's token was minted for it."""
    project = project_from_proto(message)
    caller().require_project(project.id)
    return project


def picture_of(request: pb.RenderRequest) -> Picture:
    """Message -> Picture.

    Raises:
        InvalidArgument: an unknown media type, or numbers that are out of range.
    """
    view, window = request.viewport, request.window
    sides = (view.width, view.height, view.source_x, view.source_y, view.source_width, view.source_height)
    if request.media_type not in FORMATS or not all(0 <= side <= MAX_SIDE for side in sides):
        raise InvalidArgument(f"a picture is one of {', '.join(FORMATS)}, with sides up to {MAX_SIDE}")
    if request.HasField("window") and not (window.width > 0 and (window.function or "linear") in FUNCTIONS):
        raise InvalidArgument(f"a window has a width above 0 and one of the functions {', '.join(FUNCTIONS)}")
    return Picture(
        frame=request.frame,
        media_type=request.media_type,
        window=Window(center=window.center, width=window.width, function=window.function or "linear")
        if request.HasField("window")
        else None,
        size=(view.width, view.height) if view.width and view.height else None,
        region=(view.source_x, view.source_y, view.source_width, view.source_height),
        quality=min(max(request.quality or 90, 1), 100),
    )


def _frames(file: bytes, numbers: list[int], decoded: bool) -> tuple[list[bytes], str]:
    return frames_of(file, numbers, decoded=decoded)

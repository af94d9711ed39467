"""What the canned ingest says of imported files: it remembers them, and refuses what says that it is no image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from irp.ingest.v1 import ingest_service_pb2 as ingest_pb
from irp.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from irp_chassis.auth import caller
from irp_kernel.errors import BadVolumeFile


@dataclass
class Came:
    """One file, and what was said of it."""

    site: str = ""
    data: bytes = b""
    said: ingest_pb.ImportDescription = field(default_factory=ingest_pb.ImportDescription)


@dataclass(kw_only=True)
class Imports(ingest_grpc.IngestServiceServicer):
    """Files in the order of their coming."""

    imports: list[Came] = field(default_factory=list)

    async def ImportSeries(self, requests: Any, context: Any) -> ingest_pb.ImportSeriesResponse:
        caller().require_role("uploader", "owner")
        came = Came()
        async for request in requests:
            match request.WhichOneof("piece"):
                case "upload":
                    caller().require_project(request.upload.project.id)
                    came.site = request.upload.site
                case "data":
                    came.data += request.data
                case "description":
                    came.said = request.description
        if came.data == b"no image":
            raise BadVolumeFile
        again = any(one.data == came.data for one in self.imports)
        self.imports.append(came)
        return ingest_pb.ImportSeriesResponse(
            study_uid="1.2", series_uid="1.2.3", instances=4, already_stored=again, report="0" * 32
        )

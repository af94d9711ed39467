"""What the gRPC door does with a NIfTI or NRRD file: pieces in memory, within bounds, then the verb."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from irp.ingest.v1 import ingest_service_pb2 as pb
from irp.ingest.v1 import ingest_service_pb2_grpc as pb_grpc
from irp_chassis.rpc import caller
from irp_kernel.errors import InvalidArgument, TooLarge

from irp_ingest.adapters.memory import MemoryBudget
from irp_ingest.adapters.rpc_pixels import enter
from irp_ingest.adapters.rpc_reports import ReportDesk
from irp_ingest.adapters.upload import File
from irp_ingest.app.import_series import ImportSeries
from irp_ingest.app.ports import ProjectAt
from irp_ingest.domain.errors import InstanceTooLarge
from irp_ingest.domain.imported_dicom import Description


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportDesk:
    """The verb, and what bounds its file.

    Attributes:
        limit_bytes: of the file.
    """

    run: ImportSeries
    budget: MemoryBudget
    limit_bytes: int


class ImportServicer(pb_grpc.IngestServiceServicer):
    """Imports."""

    _imports: ImportDesk
    _reports: ReportDesk
    _uploads: asyncio.Semaphore

    async def ImportSeries(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.ImportSeriesRequest], context: Any
    ) -> pb.ImportSeriesResponse:
        """A series of its own, with a report as every upload has one."""
        async with self._uploads:
            upload, project = await opening(request_iterator)
            begun = await self._reports.begin(project, upload.site)
            file = File(self._imports.budget, self._imports.limit_bytes)
            try:
                description = await _read(request_iterator, file)
                async with self._reports.write.of(begun.rules, caller().subject) as log:
                    done = await self._imports.run(bytes(file.data), description, project, begun.order, log.note)
            finally:
                await file.close()
        return pb.ImportSeriesResponse(
            study_uid=done.study_uid,
            series_uid=done.series_uid,
            instances=done.instances,
            already_stored=done.repeated,
            report=log.id,
        )


async def opening(pieces: AsyncIterator[Any]) -> tuple[pb.Upload, ProjectAt]:
    """The first message of a stream, if it is from somebody who may upload to its project.

    Raises:
        InvalidArgument: it is no upload.
        PermissionDenied: somebody else.
    """
    first = await anext(pieces, None)
    if first is None or first.WhichOneof("piece") != "upload":
        raise InvalidArgument("the first message must be the upload")
    project = enter(first.upload.project)
    caller().require_role("uploader", "owner")
    return first.upload, project


async def _read(pieces: AsyncIterator[pb.ImportSeriesRequest], file: File) -> Description:
    """Fill the file; answer what is said of it."""
    said = pb.ImportDescription()
    async for piece in pieces:
        match piece.WhichOneof("piece"):
            case "data":
                await file.add(piece.data)
            case "description":
                said = piece.description
        if isinstance(file.refused, InstanceTooLarge):
            limit = file.refused.details["limit_bytes"]
            raise TooLarge(f"the file has at most {limit} bytes (IRP_MAX_IMPORT_BYTES)", limit_bytes=limit)
        if file.refused is not None:
            raise file.refused
    return description_from_proto(said)


def description_from_proto(said: pb.ImportDescription) -> Description:
    """What the sender says of the image, without blanks around it."""
    return Description(
        patient=said.patient.strip(),
        modality=said.modality or "MR",
        description=said.series_description.strip(),
        sequence=said.protocol_name.strip(),
    )

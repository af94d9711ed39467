"""The gRPC door of ingest."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from irp.ingest.v1 import ingest_service_pb2 as pb
from irp.ingest.v1 import ingest_service_pb2_grpc as pb_grpc
from irp_chassis.db import Database
from irp_chassis.rpc import caller
from irp_chassis.wire import object_ref_to_proto
from irp_kernel.errors import InvalidArgument, SeriesUnknown
from sqlalchemy import select

from irp_ingest.adapters.convert import outcome_to_proto, project_from_proto, state_to_proto
from irp_ingest.adapters.db import INSTANCE, REJECTION, SERIES
from irp_ingest.adapters.index import kept_of
from irp_ingest.adapters.search import SqlSearch
from irp_ingest.app.ports import ProjectAt
from irp_ingest.app.record_clinical import RecordClinical
from irp_ingest.app.store_instance import Outcome, StoreInstance
from irp_ingest.domain.errors import InstanceTooLarge


class IngestServicer(pb_grpc.IngestServiceServicer):
    """Wire <-> verbs."""

    def __init__(
        self,
        store: StoreInstance,
        record: RecordClinical,
        database: Database,
        *,
        max_instance_bytes: int,
        uploads_at_once: int,
        in_flight: int,
    ) -> None:
        self._store, self._record, self._database = store, record, database
        self._search = SqlSearch(database)
        self._limit, self._in_flight = max_instance_bytes, in_flight
        self._uploads = asyncio.Semaphore(uploads_at_once)

    async def StoreInstances(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.StoreInstancesRequest], context: Any
    ) -> pb.StoreInstancesResponse:
        """One outcome per file, in order; raw bytes live in memory only."""
        async with self._uploads:
            first = await anext(request_iterator, None)
            if first is None or first.WhichOneof("piece") != "upload":
                raise InvalidArgument("the first message must be the upload")
            project = _enter(first.upload.project)
            caller().require_role("uploader", "owner")
            order, quiet_s = await self._store.order(project, first.upload.site, first.upload.study_uid)
            work: list[asyncio.Task[Outcome]] = []
            gate = asyncio.Semaphore(self._in_flight)

            async def take(data: bytes) -> Outcome:
                try:
                    return await self._store(data, project, order, quiet_s)
                finally:
                    gate.release()

            try:
                async for data in self._files(request_iterator):
                    if data is None:
                        work.append(asyncio.create_task(_too_large()))
                        continue
                    await gate.acquire()
                    work.append(asyncio.create_task(take(data)))
                outcomes = await asyncio.gather(*work)
            finally:
                for task in work:
                    task.cancel()
        return pb.StoreInstancesResponse(outcomes=[outcome_to_proto(outcome) for outcome in outcomes])

    async def _files(self, pieces: AsyncIterator[pb.StoreInstancesRequest]) -> AsyncIterator[bytes | None]:
        """Whole files, one after the other; None for one that is too large. A file cut off is dropped."""
        file, size = bytearray(), 0
        async for piece in pieces:
            match piece.WhichOneof("piece"):
                case "begin":
                    file, size = bytearray(), 0
                case "data":
                    size += len(piece.data)
                    if size <= self._limit:
                        file += piece.data
                    else:
                        file.clear()
                case "end":
                    yield bytes(file) if size <= self._limit else None
                    file, size = bytearray(), 0

    async def CompleteSeries(self, request: pb.CompleteSeriesRequest, context: Any) -> pb.CompleteSeriesResponse:  # noqa: N802
        """Assemble now."""
        project = _enter(request.project)
        async with self._database.transaction() as tx:
            await tx.execute(
                SERIES.update()
                .where(SERIES.c.project == project.id, SERIES.c.uid.in_(list(request.series_uids)))
                .values(quiet_until=time.time())
            )
        return pb.CompleteSeriesResponse()

    async def Search(self, request: pb.SearchRequest, context: Any) -> pb.SearchResponse:  # noqa: N802
        """QIDO-RS."""
        project = _enter(request.project)
        if request.level not in {"study", "series", "instance"}:
            raise InvalidArgument("the level is study, series or instance")
        found = await self._search(
            project.id,
            request.level,
            study_uid=request.study_uid,
            series_uid=request.series_uid,
            wanted=dict(request.matches),
            include=list(request.include_fields),
            limit=request.limit,
            offset=request.offset,
            fuzzy=request.fuzzy,
        )
        return pb.SearchResponse(dicom_json=[json.dumps(match) for match in found])

    async def Locate(self, request: pb.LocateRequest, context: Any) -> AsyncIterator[pb.LocateResponse]:  # noqa: N802
        """Stored objects or metadata of a study, series or instance."""
        project = _enter(request.project)
        query = select(INSTANCE).where(INSTANCE.c.project == project.id, INSTANCE.c.study_uid == request.study_uid)
        if request.series_uid:
            query = query.where(INSTANCE.c.series_uid == request.series_uid)
        if request.sop_instance_uid:
            query = query.where(INSTANCE.c.sop_uid == request.sop_instance_uid)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(INSTANCE.c.series_uid, INSTANCE.c.sop_uid))).all()
        for row in rows:
            kept = kept_of(row)
            yield pb.LocateResponse(
                sop_instance_uid=kept.sop_uid,
                sop_class_uid=kept.sop_class,
                transfer_syntax_uid=kept.transfer_syntax,
                object=object_ref_to_proto(kept.object),
                dicom_json=json.dumps(kept.header) if request.metadata else "",
            )

    async def GetSeries(self, request: pb.GetSeriesRequest, context: Any) -> pb.GetSeriesResponse:  # noqa: N802
        """State and volume of a series."""
        project = _enter(request.project)
        query = select(SERIES).where(SERIES.c.project == project.id, SERIES.c.uid == request.series_uid)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise SeriesUnknown
        return pb.GetSeriesResponse(series=state_to_proto(row))

    async def ListSeries(self, request: pb.ListSeriesRequest, context: Any) -> pb.ListSeriesResponse:  # noqa: N802
        """Every series, newest last."""
        project = _enter(request.project)
        query = select(SERIES).where(SERIES.c.project == project.id).order_by(SERIES.c.arrived_at)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return pb.ListSeriesResponse(series=[state_to_proto(row) for row in rows])

    async def RecordClinical(self, request: pb.RecordClinicalRequest, context: Any) -> pb.RecordClinicalResponse:  # noqa: N802
        """FHIR bundle or table."""
        project = _enter(request.project)
        done = await self._record(project, request.site, request.media_type, request.body)
        return pb.RecordClinicalResponse(patients=done.patients, values=done.values, refused=done.refused)

    async def ListRejections(self, request: pb.ListRejectionsRequest, context: Any) -> pb.ListRejectionsResponse:  # noqa: N802
        """Reasons and counts."""
        project = _enter(request.project)
        query = select(REJECTION).where(REJECTION.c.project == project.id).order_by(REJECTION.c.reason)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        found = [{name: row[name] for name in ("at", "reason", "message", "count")} for row in rows]
        return pb.ListRejectionsResponse(rejections=[pb.Rejection(**row) for row in found])


def _enter(message: Any) -> ProjectAt:
    """The project of a request, if the caller's token was minted for it."""
    project = project_from_proto(message)
    caller().require_project(project.id)
    return project


async def _too_large() -> Outcome:
    return Outcome(failure=InstanceTooLarge.failure_reason, reason=InstanceTooLarge.reason)

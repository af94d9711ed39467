"""The gRPC door of ingest."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.db import Database
from irp_chassis.objects import Objects
from irp_chassis.paging import read_page, size_of
from irp_chassis.rpc import caller
from irp_chassis.wire import object_ref_to_proto
from irp_kernel import ObjectRef
from irp_kernel.errors import InvalidArgument, SeriesUnknown
from sqlalchemy import select

from irp_ingest.adapters.convert import outcome_to_proto, state_to_proto
from irp_ingest.adapters.db import INSTANCE, REJECTION, SERIES
from irp_ingest.adapters.deletion import SqlDeletion
from irp_ingest.adapters.rpc_import import ImportDesk, ImportServicer, opening
from irp_ingest.adapters.rpc_pixels import PixelsServicer, enter
from irp_ingest.adapters.rpc_quarantine import QuarantineDesk, QuarantineServicer
from irp_ingest.adapters.rpc_reports import ReportDesk, ReportsServicer
from irp_ingest.adapters.search import Query, SqlSearch
from irp_ingest.adapters.upload import TakeUpload
from irp_ingest.app.record_clinical import RecordClinical
from irp_ingest.domain.deletion import Target
from irp_ingest.domain.matching import Rules, keys_of


class IngestServicer(ImportServicer, QuarantineServicer, ReportsServicer, PixelsServicer):
    """Wire <-> verbs; imports, pixels, reports, keys and the quarantine are answered by the classes of their names."""

    def __init__(
        self,
        record: RecordClinical,
        database: Database,
        objects: Objects,
        take: TakeUpload,
        reports: ReportDesk,
        quarantine: QuarantineDesk,
        imports: ImportDesk,
        *,
        uploads_at_once: int,
    ) -> None:
        super().__init__(database, objects)
        self._record, self._reports, self._quarantine = record, reports, quarantine
        self._imports = imports
        self._search, self._delete = SqlSearch(database), SqlDeletion(database)
        self._take = take
        self._uploads = asyncio.Semaphore(uploads_at_once)

    async def StoreInstances(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.StoreInstancesRequest], context: Any
    ) -> pb.StoreInstancesResponse:
        """One outcome per file, in order; raw bytes live in memory only."""
        async with self._uploads:
            upload, project = await opening(request_iterator)
            begun = await self._reports.begin(project, upload.site, upload.study_uid, upload.report)
            async with self._reports.write.of(begun.rules, caller().subject, upload.report) as log:
                outcomes = await self._take(
                    request_iterator, project, begun.order, begun.quiet_s, more=upload.more, note=log.note
                )
        return pb.StoreInstancesResponse(outcomes=[outcome_to_proto(outcome) for outcome in outcomes], report=log.id)

    async def CompleteSeries(self, request: pb.CompleteSeriesRequest, context: Any) -> pb.CompleteSeriesResponse:  # noqa: N802
        """Assemble now."""
        project = enter(request.project)
        caller().require_role("uploader", "owner")
        async with self._database.transaction() as tx:
            await tx.execute(
                SERIES.update()
                .where(SERIES.c.project == project.id, SERIES.c.uid.in_(list(request.series_uids)))
                .values(quiet_until=time.time())
            )
        return pb.CompleteSeriesResponse()

    async def Search(self, request: pb.SearchRequest, context: Any) -> pb.SearchResponse:  # noqa: N802
        """QIDO-RS."""
        project = enter(request.project)
        if request.level not in {"study", "series", "instance"}:
            raise InvalidArgument("the level is study, series or instance")
        query = Query(
            level=request.level,
            study_uid=request.study_uid,
            series_uid=request.series_uid,
            wanted=dict(request.matches),
            include=list(request.include_fields),
            limit=max(request.limit, 0),
            offset=max(request.offset, 0),
            rules=Rules(fuzzy=request.fuzzy, empty=request.empty_values, several=request.multiple_values),
        )
        found = await self._search(project.id, query)
        _, unknown = keys_of(query.wanted)
        return pb.SearchResponse(dicom_json=[json.dumps(match) for match in found], unknown=unknown)

    async def Locate(self, request: pb.LocateRequest, context: Any) -> AsyncIterator[pb.LocateResponse]:  # noqa: N802
        """Stored objects or metadata of a study, series or instance."""
        project = enter(request.project)
        wanted = {"study_uid": request.study_uid, "series_uid": request.series_uid, "sop_uid": request.sop_instance_uid}
        columns = [INSTANCE.c.study_uid, INSTANCE.c.series_uid, INSTANCE.c.sop_uid]
        columns += [INSTANCE.c.sop_class, INSTANCE.c.transfer_syntax, INSTANCE.c.object]
        columns += [INSTANCE.c.header] if request.metadata else []
        query = select(*columns).where(INSTANCE.c.project == project.id)
        for name, uid in wanted.items():
            query = query.where(INSTANCE.c[name] == uid) if uid else query
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(INSTANCE.c.series_uid, INSTANCE.c.sop_uid))).all()
        for row in rows:
            yield pb.LocateResponse(
                study_uid=row.study_uid,
                series_uid=row.series_uid,
                sop_instance_uid=row.sop_uid,
                sop_class_uid=row.sop_class,
                transfer_syntax_uid=row.transfer_syntax,
                object=object_ref_to_proto(ObjectRef(**row.object)),
                dicom_json=json.dumps(row.header) if request.metadata else "",
            )

    async def GetSeries(self, request: pb.GetSeriesRequest, context: Any) -> pb.GetSeriesResponse:  # noqa: N802
        """State and volume of a series."""
        project = enter(request.project)
        query = select(SERIES).where(SERIES.c.project == project.id, SERIES.c.uid == request.series_uid)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise SeriesUnknown
        return pb.GetSeriesResponse(series=state_to_proto(row))

    async def DeleteInstances(  # noqa: N802
        self, request: pb.DeleteInstancesRequest, context: Any
    ) -> pb.DeleteInstancesResponse:
        """Rows now, objects afterwards."""
        project = enter(request.project)
        caller().require_role("owner")
        if not request.study_uid or (request.sop_instance_uid and not request.series_uid):
            raise InvalidArgument("a study is named, and an instance with its series")
        target = Target(study_uid=request.study_uid, series_uid=request.series_uid, sop_uid=request.sop_instance_uid)
        done = await self._delete(project, target, list(request.asked_series_uids))
        return pb.DeleteInstancesResponse(instances=done.instances, series=done.series)

    async def ListSeries(self, request: pb.ListSeriesRequest, context: Any) -> pb.ListSeriesResponse:  # noqa: N802
        """A page of series, newest last."""
        project = enter(request.project)
        query, place = select(SERIES).where(SERIES.c.project == project.id), (SERIES.c.arrived_at, SERIES.c.uid)
        rows, after = await read_page(self._database, query, place, request.after, size_of(request.limit))
        return pb.ListSeriesResponse(series=[state_to_proto(row) for row in rows], next=after)

    async def RecordClinical(self, request: pb.RecordClinicalRequest, context: Any) -> pb.RecordClinicalResponse:  # noqa: N802
        """FHIR bundle or table."""
        project = enter(request.project)
        caller().require_role("uploader", "owner")
        done = await self._record(project, request.site, request.media_type, request.body)
        return pb.RecordClinicalResponse(patients=done.patients, values=done.values, refused=done.refused)

    async def ListRejections(self, request: pb.ListRejectionsRequest, context: Any) -> pb.ListRejectionsResponse:  # noqa: N802
        """Reasons and counts."""
        project = enter(request.project)
        query = select(REJECTION).where(REJECTION.c.project == project.id).order_by(REJECTION.c.reason)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        found = [{name: row[name] for name in ("at", "reason", "message", "count")} for row in rows]
        return pb.ListRejectionsResponse(rejections=[pb.Rejection(**row) for row in found])

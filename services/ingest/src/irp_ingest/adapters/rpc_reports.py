"""What the gRPC door answers of reports and of the key that uploaders de-identify with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from irp.ingest.v1 import ingest_service_pb2 as pb
from irp.ingest.v1 import ingest_service_pb2_grpc as pb_grpc
from irp_chassis.paging import size_of
from irp_chassis.rpc import caller
from irp_deid import SiteKey

from irp_ingest.adapters.reports import SqlReports, report_to_proto
from irp_ingest.adapters.rpc_pixels import enter
from irp_ingest.adapters.secrets import ProjectSecrets
from irp_ingest.app.begin_upload import BeginUpload
from irp_ingest.app.take_report import TakeReport
from irp_ingest.app.write_report import WriteReport


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDesk:
    """Verbs and rows around reports.

    Attributes:
        jwk: public key of what ingest signs.
    """

    begin: BeginUpload
    write: WriteReport
    take: TakeReport
    rows: SqlReports
    secrets: ProjectSecrets
    jwk: dict[str, str]


class ReportsServicer(pb_grpc.IngestServiceServicer):
    """Keys for uploaders, reports of uploads."""

    _reports: ReportDesk

    async def IssueSiteKey(self, request: pb.IssueSiteKeyRequest, context: Any) -> pb.IssueSiteKeyResponse:  # noqa: N802
        """K_site: an uploader of the site can make its pseudonyms, and nobody else's."""
        project = enter(request.project)
        caller().require_role("uploader", "owner")
        key = SiteKey(await self._reports.secrets.site_key(project.id, request.site))
        return pb.IssueSiteKeyResponse(key=key.key, site_name=key.site_name())

    async def StoreReport(self, request: pb.StoreReportRequest, context: Any) -> pb.StoreReportResponse:  # noqa: N802
        """Checked before it is kept."""
        project = enter(request.project)
        caller().require_role("uploader", "owner")
        name = await self._reports.take(project, request.site, caller().subject, request.jws)
        return pb.StoreReportResponse(id=name)

    async def ListReports(self, request: pb.ListReportsRequest, context: Any) -> pb.ListReportsResponse:  # noqa: N802
        """Oldest first."""
        project = enter(request.project)
        limit = size_of(max(request.limit, 1))
        found, after = await self._reports.rows.page(project.id, request.after, limit)
        return pb.ListReportsResponse(reports=[report_to_proto(report) for report in found], next=after)

    async def GetReport(self, request: pb.GetReportRequest, context: Any) -> pb.GetReportResponse:  # noqa: N802
        """Where its signed bytes are."""
        project = enter(request.project)
        return pb.GetReportResponse(report=report_to_proto(await self._reports.rows.find(project.id, request.id)))

    async def GetReportKey(self, request: pb.GetReportKeyRequest, context: Any) -> pb.GetReportKeyResponse:  # noqa: N802
        """The installation's public key."""
        enter(request.project)
        return pb.GetReportKeyResponse(jwk=json.dumps(self._reports.jwk, sort_keys=True))

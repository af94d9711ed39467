"""What the canned ingest says of keys and reports: it believes signatures, and remembers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from irp.ingest.v1 import ingest_service_pb2 as ingest_pb
from irp.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from irp_chassis.auth import caller
from irp_chassis.objects import Objects
from irp_chassis.wire import object_ref_to_proto
from irp_deid import ProjectSecret
from irp_deid.signed import public_jwk, verify
from irp_deid.uploads import report_id
from irp_ingest.domain.errors import ReportOutdated
from irp_kernel.errors import NotFound

SECRET = ProjectSecret(bytes(range(32)))


@dataclass(kw_only=True)
class Reports(ingest_grpc.IngestServiceServicer):
    """Reports by project and id."""

    objects: Objects
    reports: dict[tuple[str, str], ingest_pb.UploadReport] = field(default_factory=dict)

    async def IssueSiteKey(self, request: Any, context: Any) -> ingest_pb.IssueSiteKeyResponse:
        caller().require_role("uploader", "owner")
        key = SECRET.site_key(request.site)
        return ingest_pb.IssueSiteKeyResponse(key=key.key, site_name=key.site_name())

    async def StoreReport(self, request: Any, context: Any) -> ingest_pb.StoreReportResponse:
        document = verify(request.jws, public_jwk(SECRET.site_key(request.site).signing_key()))
        if document["configuration"] != request.project.configuration.sha256:
            raise ReportOutdated
        ref = await self.objects.put(
            request.jws.encode(),
            project=request.project.id,
            entity="upload",
            id="u",
            kind="report",
            media_type="application/jose",
            extension="jws",
        )
        line = ingest_pb.UploadReport(
            id=report_id(document),
            by=document["by"],
            at=document["at"],
            site=document["site"],
            subject=caller().subject,
            instances=len(document["instances"]),
            complete=True,
            revision=document["revision"],
            object=object_ref_to_proto(ref),
        )
        self.reports[request.project.id, line.id] = line
        return ingest_pb.StoreReportResponse(id=line.id)

    async def ListReports(self, request: Any, context: Any) -> ingest_pb.ListReportsResponse:
        found = [line for (project, _), line in self.reports.items() if project == request.project.id]
        start = int(request.after or 0)
        end = start + request.limit
        return ingest_pb.ListReportsResponse(reports=found[start:end], next=str(end) if end < len(found) else "")

    async def GetReport(self, request: Any, context: Any) -> ingest_pb.GetReportResponse:
        line = self.reports.get((request.project.id, request.id))
        if line is None:
            raise NotFound
        return ingest_pb.GetReportResponse(report=line)

    async def GetReportKey(self, request: Any, context: Any) -> ingest_pb.GetReportKeyResponse:
        return ingest_pb.GetReportKeyResponse(jwk=json.dumps(public_jwk(bytes(32))))

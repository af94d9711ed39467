"""What canned rooms say of deleting: radiomics names what it is told to name, ingest forgets its files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from irp.common.v1 import operations_service_pb2 as operations_pb
from irp.common.v1 import operations_service_pb2_grpc as operations_grpc
from irp.ingest.v1 import ingest_service_pb2 as ingest_pb
from irp.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from irp_chassis.auth import caller
from irp_ingest.domain.errors import SeriesChanged
from irp_kernel.errors import IrpError, Unimplemented


@dataclass
class Referring(operations_grpc.OperationsServiceServicer):
    """Radiomics: it knows of references, and nothing else that rooms are asked."""

    references: list[operations_pb.Reference] = field(default_factory=list)
    refuse: IrpError | None = None
    asked: list[tuple[tuple[str, ...], float]] = field(default_factory=list)

    async def References(self, request: Any, context: Any) -> operations_pb.ReferencesResponse:
        caller().require_project(request.project)
        if self.refuse:
            raise self.refuse
        self.asked.append((tuple(request.series_uids), request.hold_s))
        found = [one for one in self.references if one.series_uid in request.series_uids]
        return operations_pb.ReferencesResponse(references=found[:100], count=len(found))

    async def ListParked(self, request: Any, context: Any) -> operations_pb.ListParkedResponse:
        raise Unimplemented


@dataclass(kw_only=True)
class Deletions(ingest_grpc.IngestServiceServicer):
    """The part of ingest that forgets."""

    files: dict[str, dict[str, Any]]

    async def DeleteInstances(self, request: Any, context: Any) -> ingest_pb.DeleteInstancesResponse:
        caller().require_role("owner")
        here = self.files[request.project.id]
        gone = {
            uid: str(ds.SeriesInstanceUID)
            for uid, (ds, _) in here.items()
            if ds.StudyInstanceUID == request.study_uid
            and request.series_uid in {"", ds.SeriesInstanceUID}
            and request.sop_instance_uid in {"", uid}
        }
        if not set(gone.values()) <= set(request.asked_series_uids):
            raise SeriesChanged
        for uid in gone:
            del here[uid]
        return ingest_pb.DeleteInstancesResponse(instances=len(gone), series=len(set(gone.values())))

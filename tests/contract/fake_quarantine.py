"""What the canned ingest says of its quarantine: one image and one document wait, until somebody decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from irp.ingest.v1 import ingest_service_pb2 as ingest_pb
from irp.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from irp_chassis.auth import caller
from irp_ingest.domain.errors import QuarantineDecided, QuarantineUnknown

IMAGE, DOCUMENT = "2.25.1", "2.25.2"
PNG = b"\x89PNG of a frame"


def waiting(id: str, kind: str) -> ingest_pb.QuarantinedInstance:
    return ingest_pb.QuarantinedInstance(
        id=id,
        study_uid="1.2",
        series_uid="1.2.3",
        kind=kind,
        reason="SECONDARY_CAPTURE",
        rows=480,
        columns=640,
        frames=1,
        arrived_at="2026-01-01T00:00:00+00:00",
        state="waiting",
    )


@dataclass(kw_only=True)
class Quarantine(ingest_grpc.IngestServiceServicer):
    """Two instances; a decision is carried out when it is asked for again."""

    apart: dict[str, ingest_pb.QuarantinedInstance] = field(
        default_factory=lambda: {IMAGE: waiting(IMAGE, "image"), DOCUMENT: waiting(DOCUMENT, "document")}
    )
    looked_at: list[tuple[str, int]] = field(default_factory=list)

    async def ListQuarantine(self, request: Any, context: Any) -> ingest_pb.ListQuarantineResponse:
        caller().require_role("owner", "curator")
        found = [one for one in self.apart.values() if request.state in {"", one.state}]
        start = int(request.after or 0)
        end = start + request.limit
        return ingest_pb.ListQuarantineResponse(items=found[start:end], next=str(end) if end < len(found) else "")

    async def GetQuarantined(self, request: Any, context: Any) -> ingest_pb.GetQuarantinedResponse:
        caller().require_role("owner", "curator")
        one = self._find(request.id)
        if one.state == "masking":
            one.state = "masked"
        if not request.preview:
            return ingest_pb.GetQuarantinedResponse(item=one)
        self.looked_at.append((request.id, request.frame))
        media_type = "image/png" if one.kind == "image" else "application/octet-stream"
        return ingest_pb.GetQuarantinedResponse(item=one, preview=PNG, media_type=media_type)

    async def DecideQuarantined(self, request: Any, context: Any) -> ingest_pb.DecideQuarantinedResponse:
        caller().require_role("owner", "curator")
        one = self._find(request.id)
        follows = {"release": "releasing", "mask": "masking", "discard": "discarding"}[request.action]
        if one.state not in {"waiting", follows}:
            raise QuarantineDecided
        one.state, one.decided_by = follows, caller().subject
        del one.regions[:]
        one.regions.extend(request.regions)
        return ingest_pb.DecideQuarantinedResponse(item=one)

    def _find(self, id: str) -> ingest_pb.QuarantinedInstance:
        if id not in self.apart:
            raise QuarantineUnknown
        return self.apart[id]

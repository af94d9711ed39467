"""Canned reports on versions: queued first, ended when asked again."""

from __future__ import annotations

import json
from typing import Any

from irp.common.v1 import types_pb2
from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.auth import caller

FINE = {"name": "archive", "state": "passed", "says": "5 files [of all]"}
BENCHMARK = {
    "champion": "cine@1",
    "patients": 4,
    "cases": 5,
    "learnt_from_them": "not known: its bundle does not say",
    "structures": [
        {"structure": "lv_myocardium", "cases": 5, "dice": 0.87, "least": 0.8, "champion": 0.86, "difference": 0.01},
        {"structure": "scar", "cases": 0, "dice": None, "least": None, "champion": None, "difference": None},
    ],
}


class ModelReports:
    """Part of the training room."""

    header = pb.RegisterModelHeader()
    asked_report: pb.AskReportRequest | None = None
    failed = False

    def looked_through(self, bundle: bytes) -> pb.ModelReport:
        taken = bundle.startswith(b"PK")
        broken = {"name": "BUNDLE_BROKEN", "state": "failed", "says": "the bundle is not a readable ZIP"}
        inspection = {"passed": taken, "checks": [FINE] if taken else [broken], "archive": {"count": 5}}
        return pb.ModelReport(state="ended", inspection=json.dumps(inspection))

    async def AskReport(self, request: pb.AskReportRequest, context: Any) -> pb.AskReportResponse:
        caller().require_role("admin")
        if request.HasField("project"):
            caller().require_project(request.project.id)
        self.asked_report = request
        return pb.AskReportResponse(report=a_report("queued"))

    async def GetReport(self, request: pb.GetReportRequest, context: Any) -> pb.GetReportResponse:
        return pb.GetReportResponse(report=a_report("failed" if self.failed else "ended"))


def a_report(state: str) -> pb.ModelReport:
    """Of cine@2."""
    return pb.ModelReport(
        model=types_pb2.ModelRef(name="cine", version=2, digest="d" * 64),
        state=state,
        progress=types_pb2.Progress(fraction=0.0 if state == "queued" else 1.0, eta_s=-1, step=state),
        inspection=json.dumps({"passed": True, "checks": [FINE], "archive": {"count": 5}}),
        benchmark=json.dumps(BENCHMARK) if state == "ended" else "",
        reason="INSPECTION_TOO_LONG" if state == "failed" else "",
    )

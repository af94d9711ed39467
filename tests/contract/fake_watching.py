"""Canned answers about watched runs and validated models; the files are put into the store by whoever needs them."""

from __future__ import annotations

import json
from typing import Any

from irp.common.v1 import types_pb2
from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.auth import caller

CASES = [
    {
        "patient": "P1",
        "series": "1.2.3",
        "split": "validation",
        "before": {"lv_blood_pool": 0.8},
        "after": {"lv_blood_pool": 0.9},
        "distances": {"lv_blood_pool": {"hd95_mm": 3.5, "assd_mm": 0.9, "unmatched": 0}},
    }
]
SUMMARY = {
    "validation": {"lv_blood_pool": {"dice": {"mean": 0.9, "low": None, "high": None, "patients": 1, "cases": 1}}}
}


class Watching:
    """Part of the training room.

    Attributes:
        picture: of every run's only overlay.
        files: of every validation's report.
        validated: the last question.
        project: whose patients judge.
    """

    picture: types_pb2.ObjectRef | None = None
    files: dict[str, types_pb2.ObjectRef] = {}  # noqa: RUF012 - replaced, never changed
    validated: pb.ValidateModelRequest | None = None
    project: str = "shared"
    alarm: bool = True

    def seen(self, run: pb.Run) -> pb.Run:
        """The run with what a watcher sees."""
        run.cases, run.summary = json.dumps(CASES), json.dumps(SUMMARY)
        run.overlays.add(epoch=2, which="worst", dice=0.5, picture=self.picture)
        return run

    async def ExportRun(self, request: pb.ExportRunRequest, context: Any) -> pb.ExportRunResponse:
        body = f"{request.run_id} as {request.form}".encode()
        return pb.ExportRunResponse(body=body, media_type="image/png", file_name="f")

    async def ValidateModel(self, request: pb.ValidateModelRequest, context: Any) -> pb.ValidateModelResponse:
        caller().require_role("admin")
        if request.HasField("project"):
            caller().require_project(request.project.id)
        self.validated = request
        return pb.ValidateModelResponse(validation=self._validation("queued"))

    async def GetValidation(self, request: pb.GetValidationRequest, context: Any) -> pb.GetValidationResponse:
        found, asking = self._validation("succeeded"), caller()
        if "admin" not in asking.roles and asking.project != found.project:
            found = pb.Validation(id=found.id, model=found.model, project=found.project)
        return pb.GetValidationResponse(validation=found)

    async def GetDrift(self, request: pb.GetDriftRequest, context: Any) -> pb.GetDriftResponse:
        caller().require_role("admin")
        model = types_pb2.ModelRef(name=request.name, version=2, digest="d")
        every = pb.Drift(model=model, by="all", cases=12, reference=0.9, reference_cases=12, p_value=1)
        site = pb.Drift(
            model=model,
            by="site",
            value="S1",
            cases=40,
            reference=0.9,
            reference_cases=30,
            recent=0.8,
            recent_cases=10,
            p_value=0.001,
            drifted=self.alarm,
        )
        return pb.GetDriftResponse(drifts=[every, site])

    def _validation(self, state: str) -> pb.Validation:
        done = state == "succeeded"
        return pb.Validation(
            id="0123456789abcdef",
            model=types_pb2.ModelRef(name="cine", version=2, digest="d" * 64),
            project=self.project,
            dataset_digest="e" * 64,
            split="test",
            state=state,
            progress=types_pb2.Progress(fraction=1.0 if done else 0.0, eta_s=-1, step=state),
            files=[pb.ReportFile(name=name, object=ref) for name, ref in self.files.items()] if done else [],
            summary=json.dumps({"dice": SUMMARY["validation"]["lv_blood_pool"]}) if done else "",
        )

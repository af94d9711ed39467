"""Canned answers about reduced precisions: queued first, judged when asked again."""

from __future__ import annotations

import json
from typing import Any

from irp.common.v1 import types_pb2
from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.auth import caller

REPORT = {
    "margin": 0.002,
    "speedup": {"1": 1.4, "8": 1.5},
    "tried": [
        {
            "recipe": "symmetric",
            "accepted": True,
            "structures": [
                {"structure": "lv_myocardium", "cases": 5, "float32": 0.87, "reduced": 0.869, "difference": -0.001,
                 "worst": -0.003, "passed": True}
            ],
        }
    ],
}  # fmt: skip


class Precisions:
    """Part of the training room; `refuses` a precision by name."""

    asked: pb.GuardPrecisionRequest | None = None
    refuses: str = ""

    async def GuardPrecision(self, request: pb.GuardPrecisionRequest, context: Any) -> pb.GuardPrecisionResponse:
        caller().require_role("admin")
        if request.HasField("project"):
            caller().require_project(request.project.id)
        self.asked = request
        return pb.GuardPrecisionResponse(trial=a_trial("queued", request.precision))

    async def GetPrecision(self, request: pb.GetPrecisionRequest, context: Any) -> pb.GetPrecisionResponse:
        state = "refused" if request.precision == self.refuses else "accepted"
        return pb.GetPrecisionResponse(trial=a_trial(state, request.precision))


def a_trial(state: str, precision: str = "int8") -> pb.PrecisionTrial:
    """Of cine@2."""
    judged = state == "accepted"
    return pb.PrecisionTrial(
        model=types_pb2.ModelRef(name="cine", version=2, digest="d" * 64),
        precision=precision,
        state=state,
        progress=types_pb2.Progress(fraction=1.0 if judged else 0.0, eta_s=-1, step=state),
        message="no structure loses more than it may" if judged else "",
        report=json.dumps(REPORT) if judged else "",
        speedup=1.4 if judged else 0.0,
        artefact=types_pb2.ObjectRef(size=3_000_000) if judged else None,
    )

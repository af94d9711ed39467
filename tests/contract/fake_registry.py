"""Canned answers about what the registry remembers and signs."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from irp.common.v1 import types_pb2
from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.auth import caller
from irp_kernel import sha256_of
from irp_kernel.errors import PermissionDenied
from irp_kernel.model_statement import KIND, model_statement
from irp_kernel.signed import public_jwk, sign

SEED, BUNDLE = bytes(32), b"a bundle"
GATE = {
    "passed": True,
    "reason": "not worse on any structure",
    "margin": 0.01,
    "comparisons": [
        {"structure": "lv_myocardium", "cases": 8, "patients": 8, "candidate": 0.88, "champion": 0.87, "worst": -0.01,
         "difference": 0.01, "lower": 0.004, "rule": "bootstrap", "passed": True}
    ],
    "subgroups": [
        {"attribute": "site", "value": "site-1", "structure": "lv_myocardium", "patients": 4, "candidate": 0.88,
         "champion": 0.87, "difference": 0.01, "bound": None, "passed": True}
    ],
    "checks": [
        {"name": "latency", "candidate": 0.02, "champion": 0.015, "change": 1.33, "bound": 2.0, "passed": True,
         "warning": "1.33 times"}
    ],
    "warnings": ["latency: 1.33 times the champion's seconds per slice"],
}  # fmt: skip


class SecondPersonNeeded(PermissionDenied):
    """A second person has to agree to this promotion.

    Whoever asked for it cannot approve it.
    """


def a_third() -> types_pb2.Progress:
    return types_pb2.Progress(fraction=1 / 3, eta_s=8.0, step="4 of 12 series are measured")


class Registry:
    """Part of the training room."""

    waits = False
    measures = 0  # asks for a promotion that hear of no verdict yet
    unagreed = False
    said: str = ""
    looked_up: ClassVar[list[str]] = []  # aliases and digests of versions, empty = by number

    def promoted(self, model: pb.Model) -> pb.PromoteResponse:
        if self.measures:
            self.measures -= 1
            return pb.PromoteResponse(model=model, state="measuring", progress=a_third())
        gate, done = json.dumps(GATE), types_pb2.Progress(fraction=1.0, step="measured")
        return pb.PromoteResponse(model=model, gate=gate, state="pending" if self.waits else "promoted", progress=done)

    async def DecidePromotion(self, request: pb.DecidePromotionRequest, context: Any) -> pb.DecidePromotionResponse:
        caller().require_role("admin")
        if request.approve and caller().subject == "bootstrap-admin" and request.reason == "":
            raise SecondPersonNeeded
        self.said = request.reason
        model = pb.Model(ref=types_pb2.ModelRef(name=request.name, version=request.version), champion=request.approve)
        return pb.DecidePromotionResponse(model=model)

    async def GetHistory(self, request: pb.GetHistoryRequest, context: Any) -> pb.GetHistoryResponse:
        entries = [
            pb.HistoryEntry(at="2026-01-01T00:00:00+00:00", kind="registered", version=1, actor="openirp"),
            pb.HistoryEntry(
                at="2026-01-02T00:00:00+00:00", kind="judged", version=2, actor="ada", gate=json.dumps(GATE)
            ),
            pb.HistoryEntry(at="2026-01-02T00:00:01+00:00", kind="promoted", version=2, before=1, actor="ada"),
        ]
        if request.at:
            return pb.GetHistoryResponse(entries=entries[:1])
        entries.append(pb.HistoryEntry(at="2026-01-03T00:00:00+00:00", kind="serving", version=1, actor="ada"))
        entries.append(pb.HistoryEntry(at="2026-01-04T00:00:00+00:00", kind="serving", actor="ada"))
        return pb.GetHistoryResponse(entries=entries, served=2, champion=2, canary=3, canary_percent=12.5)

    async def GetModelKeys(self, request: pb.GetModelKeysRequest, context: Any) -> pb.GetModelKeysResponse:
        return pb.GetModelKeysResponse(jwks=[json.dumps(public_jwk(SEED))])


def a_signature() -> str:
    """Of cine@2, whose bundle is BUNDLE."""
    origin = {"actor": "ada", "run": None, "dataset": {"sha256": "e" * 64}, "created_at": "2026"}
    return sign(model_statement(name="cine", version=2, sha256=sha256_of(BUNDLE), origin=origin), SEED, KIND)

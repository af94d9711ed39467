"""/models/{name}/drift: whether a model's proposals are corrected more than before."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from irp.training.v1 import training_service_pb2 as pb
from pydantic import BaseModel, Field

from irp_gateway.adapters.desk import DeskHere
from irp_gateway.adapters.door import Door
from irp_gateway.adapters.visitor import Admin, ModelInPath

router = APIRouter(prefix="/api/v1/models", tags=["models"], route_class=Door)


class DriftAnswer(BaseModel):
    """How the proposals of one version are corrected: over all patients, or those of one site or scanner."""

    version: int
    by: Literal["all", "site", "scanner"]
    value: str = Field(description="which site or scanner; empty for all")
    patients: int
    reference: float | None = Field(
        description="mean Dice of proposal and accepted mask, first patients of the version"
    )
    reference_patients: int = Field(description="up to 30; below, nothing is tested yet")
    recent: float | None = Field(description="the same of the newest block of 10 patients, or of what there is of it")
    recent_patients: int
    p_value: float = Field(description="one-sided Mann-Whitney U test, block against reference; 1 = not tested yet")
    drifted: bool = Field(description="the newest block is an alarm: p below 0.005 over the number of groups")
    alarmed_at: str = Field(description="when the last alarm was raised; empty = never")


@router.get("/{name}/drift", summary="Are its proposals corrected more than before?")
async def get_drift(name: ModelInPath, admin: Admin, desk: DeskHere) -> list[DriftAnswer]:
    """Every version that proposed masks which were accepted or corrected; what each test means: docs/adr/0036."""
    answer = await desk.rooms["training"].ask("GetDrift", pb.GetDriftRequest(name=name))
    return [
        DriftAnswer(
            version=one.model.version,
            by=one.by,
            value=one.value,
            patients=one.cases,
            reference=one.reference if one.reference_cases else None,
            reference_patients=one.reference_cases,
            recent=one.recent if one.recent_cases else None,
            recent_patients=one.recent_cases,
            p_value=one.p_value,
            drifted=one.drifted,
            alarmed_at=one.alarmed_at,
        )
        for one in answer.drifts
    ]

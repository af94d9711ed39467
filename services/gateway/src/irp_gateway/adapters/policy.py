"""/training/policy: when the project learns by itself, and what is missing until then."""

from __future__ import annotations

from fastapi import APIRouter
from irp.training.v1 import training_service_pb2 as pb
from pydantic import BaseModel, Field

from irp_gateway.adapters.door import Door
from irp_gateway.adapters.visitor import AnyMember

router = APIRouter(prefix="/api/v1/projects/{project}/training/policy", tags=["training"], route_class=Door)


class PolicyAnswer(BaseModel):
    """`automation.train` of the configuration, and how far it is."""

    declared: bool = Field(description="false: nothing begins by itself")
    paused: bool
    model: str = Field(description="empty: none is named, so nothing begins")
    base: str
    after_masks: int = Field(description="a run begins after so many accepted masks; 0 = not by number")
    masks_since_run: int = Field(description="accepted since the last run that began by itself")
    masks_missing: int
    every_hours: float = Field(description="a run begins every so many hours; 0 = not by interval")
    daily_at: str = Field(description="a run begins daily at this time, UTC; empty = not daily")
    next_at: str = Field(description="when the clock comes to it next, if a mask was accepted by then; empty = never")
    least_patients: int
    patients: int = Field(description="with an accepted mask")
    patients_missing: int
    refusal: str = Field(
        examples=["PATIENT_LEAK"],
        description="why the latest run that was to begin by itself could not; empty = it could",
    )


@router.get("", summary="When the project learns by itself")
async def policy(here: AnyMember) -> PolicyAnswer:
    """Declared in `automation.train` of the project's configuration; changing it is a new revision."""
    asked = pb.GetTrainingPolicyRequest(project=here.ref)
    said = (await here.ask("training", "GetTrainingPolicy", asked)).policy
    return PolicyAnswer(**{name: getattr(said, name) for name in PolicyAnswer.model_fields})

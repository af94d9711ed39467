"""What a project wants to happen by itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from irp_gateway.domain.naming import CONTAINER, MODEL, MODEL_OR_NONE

LEAST_HOURS = 0.25  # between two runs that begin by the clock
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Canonical = Literal["lv_blood_pool", "lv_myocardium", "rv_blood_pool", "scar", "no_reflow"]
RecipeValue = float | str | list[str] | list[int]  # as the training server reads a recipe
SiteName = Annotated[str, Field(min_length=1, max_length=128)]

ModelNamed = Annotated[str, Field(pattern=MODEL, examples=["cine", "cine@2", "cine@previous"])]
ContainerNamed = Annotated[str, Field(pattern=CONTAINER, examples=["heart", "heart@2"])]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Inclusion(_Strict):
    """Which accepted masks a dataset holds; what is left out lets everything in but unusable series."""

    sequence_classes: Annotated[list[Name], Field(max_length=64, description="one of these; empty = any")] = []
    verdicts: Annotated[
        list[Literal["good", "review", "unusable", "unknown"]],
        Field(description='quality\'s verdict is one of these ("unknown": there is none yet); empty = not unusable'),
    ] = []
    least_certainty: Annotated[int, Field(ge=0, le=3, description="that the mask's author said; 0 = any")] = 0
    structures: Annotated[
        list[Canonical], Field(max_length=64, description="one of these was judged on a slice; empty = any")
    ] = []
    sites: Annotated[list[SiteName], Field(max_length=64, description="pseudonymous; empty = any")] = []


class AutoTrain(_Strict):
    """Start a run by itself: after a number of accepted masks, by the clock, or both."""

    after_masks: Annotated[
        int | None, Field(ge=1, description="so many since the last run that began by itself; null = not by number")
    ] = None
    every_hours: Annotated[
        float,
        Field(ge=0, le=8760, description="by the clock, if a mask was accepted since such a run; 0 = not by interval"),
    ] = 0
    daily_at: Annotated[
        str,
        Field(
            pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9])?$",
            description='likewise, daily: "HH:MM", UTC; empty = not daily',
        ),
    ] = ""
    least_patients: Annotated[
        int, Field(ge=0, description="nothing begins before so many patients have an accepted mask")
    ] = 0
    paused: Annotated[bool, Field(description="nothing begins; what is accepted is counted on")] = False
    include: Annotated[Inclusion, Field(description="which masks such a run learns from")] = Inclusion()
    base: Annotated[
        str, Field(pattern=MODEL_OR_NONE, description="name or name@version to start from; empty = from scratch")
    ] = ""
    model: Annotated[str, Field(description="that the new versions belong to; has to be named")] = ""
    recipe: Annotated[dict[Name, RecipeValue], Field(description="keys that differ from the defaults")] = {}

    @model_validator(mode="after")
    def _says_when(self) -> AutoTrain:
        if not (self.after_masks or self.every_hours or self.daily_at):
            raise ValueError("say when: after_masks, every_hours or daily_at")
        if self.every_hours and self.daily_at:
            raise ValueError("every_hours or daily_at, not both")
        if 0 < self.every_hours < LEAST_HOURS:
            raise ValueError(f"every_hours is {LEAST_HOURS} or more")
        return self


class AutoExtract(_Strict):
    """Extract features by itself."""

    on: Literal["accepted"]


class Automation(_Strict):
    """What happens without being asked for; absent means nothing."""

    segment: Annotated[dict[Name, ModelNamed], Field(description="sequence class -> the model that proposes")] = {}
    containers: Annotated[
        dict[Name, ContainerNamed], Field(description="sequence class -> the container that proposes")
    ] = {}
    train: AutoTrain | None = None
    extract: AutoExtract | None = None

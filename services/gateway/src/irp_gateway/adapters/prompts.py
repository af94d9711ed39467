"""What a reader marks, and which method looks at it: bodies -> messages."""

from __future__ import annotations

import json
from typing import Annotated, Any

from irp.inference.v1 import inference_service_pb2 as pb
from pydantic import BaseModel, ConfigDict, Field

from irp_gateway.domain.naming import MODEL_OR_NONE

MOST_MARKS, MOST_POINTS = 200, 2000
Index = Annotated[int, Field(ge=0, le=100_000)]
Pixels = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClickBody(_Strict):
    """A point that belongs to the structure, or does not."""

    slice: Index
    frame: Index = 0
    row: Pixels
    column: Pixels
    inside: bool = True


class BoxBody(_Strict):
    """A rectangle around the structure; both ends are part of it."""

    slice: Index
    frame: Index = 0
    row_first: Pixels
    column_first: Pixels
    row_last: Pixels
    column_last: Pixels


class ScribbleBody(_Strict):
    """A line that belongs to the structure, or does not."""

    slice: Index
    frame: Index = 0
    points: list[tuple[Pixels, Pixels]] = Field(min_length=1, max_length=MOST_POINTS, description="(row, column)")
    inside: bool = True
    width: float = Field(1, gt=0, le=1000, description="pixels")


class PromptsBody(_Strict):
    """What was marked; positions in pixels of the series' grid, pixel centres are integers."""

    clicks: list[ClickBody] = Field([], max_length=MOST_MARKS)
    boxes: list[BoxBody] = Field([], max_length=MOST_MARKS)
    scribbles: list[ScribbleBody] = Field([], max_length=MOST_MARKS)


class AlgorithmBody(_Strict):
    """A conventional method, for structures that no model knows."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9-]{0,62}$", examples=["n-sd"], description="one of `GET /api/v1/algorithms`"
    )
    structure: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", examples=["scar"], description="canonical name")
    parameters: dict[str, Any] = Field(default_factory=dict, max_length=16, examples=[{"n": 5}])
    within_model: str = Field("", pattern=MODEL_OR_NONE, description="whose myocardium is looked at")
    volume: bool = Field(
        False,
        description="work across slices: what is marked counts for its whole frame, and every slice is answered, or "
        "those from the first to the last of `slices`. `GET /api/v1/algorithms` says which methods can",
    )


def require_one(model: str | None, algorithm: AlgorithmBody | None) -> None:
    """Raise ValueError, which is a refusal of the body, unless exactly one of them is said."""
    if (model is None) == (algorithm is None):
        raise ValueError("say either model or algorithm")


def prompts_message(body: PromptsBody) -> pb.Prompts:
    """Body -> message."""
    return pb.Prompts(
        clicks=[pb.Click(**click.model_dump()) for click in body.clicks],
        boxes=[pb.Box(**box.model_dump()) for box in body.boxes],
        scribbles=[
            pb.Scribble(
                frame=one.frame,
                slice=one.slice,
                points=[value for point in one.points for value in point],
                inside=one.inside,
                width=one.width,
            )
            for one in body.scribbles
        ],
    )


def algorithm_message(body: AlgorithmBody) -> pb.Algorithm:
    """Body -> message."""
    return pb.Algorithm(
        name=body.name,
        structure=body.structure,
        parameters=json.dumps(body.parameters),
        within_model=body.within_model,
        volume=body.volume,
    )

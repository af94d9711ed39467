"""/algorithms: the conventional methods that may stand in a model's place in /segment, as the room describes them."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from irp.inference.v1 import inference_service_pb2 as pb
from pydantic import BaseModel, Field

from irp_gateway.adapters.answers import read_json
from irp_gateway.adapters.desk import DeskHere
from irp_gateway.adapters.door import Door
from irp_gateway.adapters.visitor import Visitor

router = APIRouter(prefix="/api/v1/algorithms", tags=["segmentations"], route_class=Door)


class ParameterAnswer(BaseModel):
    """One parameter of a method."""

    name: str = Field(examples=["tolerance"])
    text: str = Field(description="what it means, with its unit")
    kind: Literal["number", "integer", "boolean"]
    default: float | bool | None = Field(description="null = the method finds it out")
    range: tuple[float, float] | None = Field(description="both ends are allowed; null for booleans")
    choices: list[float] | None = Field(description="the only values; null = the whole range")


class AlgorithmAnswer(BaseModel):
    """A method."""

    name: str = Field(examples=["region-growing"])
    finds: str = Field(description="what it finds, with its source")
    marks: str = Field(description="which marks it takes or needs")
    volume: bool = Field(description="whether it also works across slices")
    parameters: list[ParameterAnswer]


@router.get("", summary="Conventional methods for /segment")
async def list_algorithms(identity: Visitor, desk: DeskHere) -> list[AlgorithmAnswer]:
    """Every method with its parameters, their defaults and ranges, and the marks that it takes."""
    answer = await desk.rooms["inference"].ask("ListAlgorithms", pb.ListAlgorithmsRequest())
    return [_algorithm(found) for found in answer.algorithms]


def _algorithm(found: Any) -> AlgorithmAnswer:
    parameters = [_parameter(one) for one in found.parameters]
    return AlgorithmAnswer(
        name=found.name, finds=found.finds, marks=found.marks, volume=found.volume, parameters=parameters
    )


def _parameter(one: Any) -> ParameterAnswer:
    return ParameterAnswer(
        name=one.name,
        text=one.text,
        kind=one.kind,
        default=read_json(one.default),
        range=None if one.kind == "boolean" else (one.low, one.high),
        choices=list(one.choices) or None,
    )

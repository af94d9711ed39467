"""Versions in paths: a number, or a name that a version has now."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request
from irp.training.v1 import training_service_pb2 as pb
from irp_kernel.errors import ModelUnknown

from irp_gateway.adapters.desk import Desk, DeskHere
from irp_gateway.adapters.door import made
from irp_gateway.adapters.visitor import ModelInPath

Said = Annotated[
    str,
    Path(
        alias="version",
        pattern=r"^([1-9][0-9]{0,8}|candidate|champion|previous)$",
        description="a number, or `champion`, `previous` (what a rollback brings back), `candidate` (the newest, if it "
        "is not the champion)",
        examples=["3", "champion"],
    ),
]


async def _numbered(name: ModelInPath, said: Said, desk: DeskHere, request: Request) -> int:
    if said.isdecimal():
        return int(said)
    found = [model for model in await models_of(desk, name) if said in model.aliases]
    if not found:
        raise ModelUnknown(f"{name}@{said}")
    made(request, number=found[0].ref.version)
    return int(found[0].ref.version)


VersionInPath = Annotated[int, Depends(_numbered)]


async def models_of(desk: Desk, name: str) -> list[pb.Model]:
    """Every version of a model."""
    answer = await desk.rooms["training"].ask("ListModels", pb.ListModelsRequest(name=name))
    return list(answer.models)


async def version_of(desk: Desk, name: str, version: int) -> pb.Model:
    """One version.

    Raises:
        ModelUnknown: there is none.
    """
    for found in await models_of(desk, name):
        if found.ref.version == version:
            return found
    raise ModelUnknown(f"{name}@{version}")

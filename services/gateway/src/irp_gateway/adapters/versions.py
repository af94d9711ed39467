"""Versions in paths: a number, a name that a version has now, or its digest."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request
from irp.training.v1 import training_service_pb2 as pb

from irp_gateway.adapters.desk import Desk, DeskHere
from irp_gateway.adapters.door import made
from irp_gateway.adapters.visitor import ModelInPath
from irp_gateway.domain.naming import VERSION

Said = Annotated[
    str,
    Path(
        alias="version",
        pattern=VERSION,
        description="a number, `champion`, `previous` (what a rollback brings back), `candidate` (the newest, if it "
        "is not the champion), or `sha256:` and the digest",
        examples=["3", "champion"],
    ),
]


async def _numbered(name: ModelInPath, said: Said, desk: DeskHere, request: Request) -> int:
    if said.isdecimal():
        return int(said)
    found = await _found(desk, pb.GetModelRequest(name=name, alias=said))
    made(request, number=found.ref.version)
    return int(found.ref.version)


VersionInPath = Annotated[int, Depends(_numbered)]


async def version_of(desk: Desk, name: str, version: int) -> pb.Model:
    """One version, as the training room knows it."""
    return await _found(desk, pb.GetModelRequest(name=name, version=version))


async def _found(desk: Desk, asked: pb.GetModelRequest) -> pb.Model:
    answer: pb.GetModelResponse = await desk.rooms["training"].ask("GetModel", asked)
    return answer.model

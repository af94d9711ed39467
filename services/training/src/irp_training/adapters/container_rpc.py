"""ContainerService on the wire: messages in, verbs called, messages out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from irp.training.v1 import container_service_pb2 as pb
from irp.training.v1 import container_service_pb2_grpc as pb_grpc
from irp_chassis.paging import size_of
from irp_chassis.rpc import caller
from irp_kernel.errors import InvalidArgument, TooLarge

from irp_training.adapters.container_wire import container_to_proto, run_to_proto, target_from_proto
from irp_training.adapters.desk import admit
from irp_training.adapters.scratch import Scratch
from irp_training.app.ask_container import AskContainer
from irp_training.app.container_ports import Containers
from irp_training.app.promote_container import PromoteContainer
from irp_training.app.register_container import Pushed, RegisterContainer


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiving:
    """Where an archive lies while it comes, and how large it may be in bytes."""

    scratch: Scratch
    limit: int


class ContainerServicer(pb_grpc.ContainerServiceServicer):
    """See container_service.proto."""

    def __init__(
        self,
        containers: Containers,
        register: RegisterContainer,
        ask: AskContainer,
        promote: PromoteContainer,
        receiving: Receiving,
    ) -> None:
        self._containers, self._register, self._ask, self._promote = containers, register, ask, promote
        self._receiving = receiving

    async def PushContainer(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.PushContainerRequest], context: Any
    ) -> pb.PushContainerResponse:
        """Take an archive in pieces; the header comes first. It rests in a file, for it may be larger than memory."""
        caller().require_role("admin")
        with (
            self._receiving.scratch.archives() as folder,
            (folder / "archive.tar").open("wb") as archive,
            (folder / "model.tar").open("wb") as model,
        ):
            header = await _receive(request_iterator, archive, model, self._receiving.limit)
            pushed = Pushed(
                name=header.name,
                archive=Path(archive.name),
                model=Path(model.name) if model.tell() else None,
                sockets=header.sockets,
                actor=caller().subject,
                reference=header.reference,
                licence=header.licence,
            )
            container = await self._register(pushed)
        return pb.PushContainerResponse(container=container_to_proto(container))

    async def ListContainers(self, request: pb.ListContainersRequest, context: Any) -> pb.ListContainersResponse:  # noqa: N802
        """Every version."""
        caller()
        found = await self._containers.containers(request.name)
        return pb.ListContainersResponse(containers=[container_to_proto(container) for container in found])

    async def GetContainer(self, request: pb.GetContainerRequest, context: Any) -> pb.GetContainerResponse:  # noqa: N802
        """One version with its report."""
        caller()
        found = await self._containers.container(request.name, request.version)
        return pb.GetContainerResponse(container=container_to_proto(found))

    async def PromoteContainer(  # noqa: N802
        self, request: pb.PromoteContainerRequest, context: Any
    ) -> pb.PromoteContainerResponse:
        """Make a version the one that its name means."""
        caller().require_role("admin")
        container = await self._promote(request.name, request.version, caller().subject)
        return pb.PromoteContainerResponse(container=container_to_proto(container))

    async def RunContainer(self, request: pb.RunContainerRequest, context: Any) -> pb.RunContainerResponse:  # noqa: N802
        """Queue a run on a series."""
        project = admit(request.project, "owner", "annotator")
        target = target_from_proto(request.series, request.volume_version)
        actor = caller().subject
        run = await self._ask(project, request.name, request.version or None, target, actor)
        return pb.RunContainerResponse(run=run_to_proto(run))

    async def GetContainerRun(self, request: pb.GetContainerRunRequest, context: Any) -> pb.GetContainerRunResponse:  # noqa: N802
        """How far it is, or how it ended."""
        project = admit(request.project)
        run = await self._containers.run(project.id, request.run_id)
        return pb.GetContainerRunResponse(run=run_to_proto(run))

    async def ListContainerRuns(  # noqa: N802
        self, request: pb.ListContainerRunsRequest, context: Any
    ) -> pb.ListContainerRunsResponse:
        """Runs of a project, newest last."""
        project = admit(request.project)
        runs, after = await self._containers.runs(project.id, request.after, size_of(request.limit))
        return pb.ListContainerRunsResponse(runs=[run_to_proto(run) for run in runs], next=after)


async def _receive(
    pieces: AsyncIterator[pb.PushContainerRequest], archive: IO[bytes], model: IO[bytes], limit: int
) -> pb.PushContainerHeader:
    header: pb.PushContainerHeader | None = None
    size = 0
    async for piece in pieces:
        if piece.HasField("header"):
            header = piece.header
            continue
        size += len(piece.data) + len(piece.model)
        if size > limit:
            raise TooLarge(limit=limit)
        if piece.model:
            await asyncio.to_thread(model.write, piece.model)
        else:
            await asyncio.to_thread(archive.write, piece.data)
    if header is None:
        raise InvalidArgument("the first piece of a container must be its header")
    await asyncio.to_thread(archive.flush)
    await asyncio.to_thread(model.flush)
    return header

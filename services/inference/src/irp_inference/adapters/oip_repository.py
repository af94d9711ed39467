"""The repository's calls, for Triton's service and for MLServer's: what there is, load, unload."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import ParseDict
from irp.oip import model_repository_pb2 as own
from irp.oip import model_repository_pb2_grpc as own_grpc
from irp.oip import open_inference_pb2 as pb
from irp.oip import open_inference_pb2_grpc as pb_grpc
from irp_chassis.auth import ADMIN
from irp_chassis.rpc import caller
from irp_kernel.errors import InvalidArgument

from irp_inference.adapters.oip_models import STAGES, Catalogue
from irp_inference.app.repository import Repository

IGNORED = {"unload_dependents"}
"""What Triton's client always sends along, and what means nothing here."""


async def load(repository: Repository, name: str, parameters: set[str]) -> None:
    """Have the champion of a model ready.

    Raises:
        PermissionDenied: not an administrator.
        InvalidArgument: a configuration or files came along.
        ModelUnknown: there is none.
    """
    caller().require_role(ADMIN)
    if parameters - IGNORED:
        raise InvalidArgument(
            "models come from the registry, with their configuration: push one with `irp models push`"
        )
    await repository.load(model_of(name), None)


async def unload(repository: Repository, name: str) -> None:
    """Let go of a model, all its stages and versions.

    Raises:
        PermissionDenied: not an administrator.
        ModelUnknown: there is none.
    """
    caller().require_role(ADMIN)
    await repository.unload(model_of(name))


def model_of(name: str) -> str:
    """`heart` of `heart`, `heart.locate` and `heart.segment`: a model is loaded as a whole."""
    base, _, stage = name.rpartition(".")
    return base if stage in STAGES else name


class RepositoryCalls(pb_grpc.GRPCInferenceServiceServicer):
    """Triton's, on the inference service itself."""

    def __init__(self, catalogue: Catalogue, repository: Repository) -> None:
        self._catalogue, self._repository = catalogue, repository

    async def RepositoryIndex(self, request: pb.RepositoryIndexRequest, context: Any) -> pb.RepositoryIndexResponse:  # noqa: N802
        """Every version known."""
        found = await self._catalogue.index(ready_only=request.ready)
        return ParseDict({"models": found}, pb.RepositoryIndexResponse())

    async def RepositoryModelLoad(  # noqa: N802
        self, request: pb.RepositoryModelLoadRequest, context: Any
    ) -> pb.RepositoryModelLoadResponse:
        """See load."""
        await load(self._repository, request.model_name, set(request.parameters))
        return pb.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(  # noqa: N802
        self, request: pb.RepositoryModelUnloadRequest, context: Any
    ) -> pb.RepositoryModelUnloadResponse:
        """See unload."""
        await unload(self._repository, request.model_name)
        return pb.RepositoryModelUnloadResponse()


class ModelRepository(own_grpc.ModelRepositoryServiceServicer):
    """MLServer's, on a service of its own."""

    def __init__(self, catalogue: Catalogue, repository: Repository) -> None:
        self._catalogue, self._repository = catalogue, repository

    async def RepositoryIndex(self, request: own.RepositoryIndexRequest, context: Any) -> own.RepositoryIndexResponse:  # noqa: N802
        """Every version known."""
        found = await self._catalogue.index(ready_only=request.ready)
        return ParseDict({"models": found}, own.RepositoryIndexResponse())

    async def RepositoryModelLoad(  # noqa: N802
        self, request: own.RepositoryModelLoadRequest, context: Any
    ) -> own.RepositoryModelLoadResponse:
        """See load."""
        await load(self._repository, request.model_name, set())
        return own.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(  # noqa: N802
        self, request: own.RepositoryModelUnloadRequest, context: Any
    ) -> own.RepositoryModelUnloadResponse:
        """See unload."""
        await unload(self._repository, request.model_name)
        return own.RepositoryModelUnloadResponse()

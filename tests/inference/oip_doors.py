"""Both doors of the Open Inference Protocol before one loaded model, by real gRPC and by HTTP, without stores."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import numpy as np
import torch
from irp.oip import open_inference_pb2 as pb
from irp.oip import open_inference_pb2_grpc as pb_grpc
from irp_bundle import Bundle, PipelineSteps, build_network, read_bundle, write_bundle
from irp_chassis.auth import OIP_AUDIENCE, Caller, TokenMinter, TokenVerifier
from irp_chassis.rpc_server import RpcServer
from irp_chassis.settings import ServiceSettings
from irp_inference.adapters.batches import DynamicBatches
from irp_inference.adapters.oip.grpc_door import OpenInference, add_to_server
from irp_inference.adapters.oip.nets import Nets
from irp_inference.adapters.oip.rest_door import create_rest
from irp_inference.app.ports import Loaded
from irp_inference.app.whoever_serves import WhoeverServes
from irp_inference.domain.serving import Choice, Policy

from .batching_engine import Array, CountingNets

NAME = "heart.segment"
LIMIT = 1 << 20  # bytes of a body
SHAPE = (1, 4, 16, 16)  # one input of the network: channels, slices, rows, columns
ADMIN = Caller(subject="engineer", roles=frozenset({"admin"}))


@functools.cache
def a_bundle_with_three_axes() -> Bundle:
    """Its network sees slices, rows and columns."""
    net = {"_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3, "channels": [4, 8]}
    config = {
        "network_def": {**net, "strides": [2]},
        "irp_pipeline": {"segment": {"size": SHAPE[-1], "depth": SHAPE[1], "dimension": "3d", "spacing": 1.0}},
    }
    torch.manual_seed(1)
    state, structures = build_network(config["network_def"], inputs=SHAPE).state_dict(), ["lv_blood_pool", "scar"]
    data = write_bundle("heart", state, None, config, {"structures": structures}, "A phantom's.", "Apache-2.0")
    return read_bundle(data)


def a_model_with_three_axes(nets: CountingNets) -> Loaded:
    """That bundle before an engine that only counts."""
    bundle = a_bundle_with_three_axes()
    return Loaded(name="heart", version=1, digest=bundle.digest, steps=PipelineSteps(bundle), nets=nets)


class OneModel:
    """A shelf with one model on it, which serves."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    @asynccontextmanager
    async def use(self, name: str, version: object) -> AsyncIterator[Loaded]:
        yield self._loaded

    async def choice(self, name: str, series_uid: str) -> Choice:
        return Choice(self._loaded.version, "champion")

    async def default(self, name: str) -> Choice:
        return await self.choice(name, "")

    async def number(self, name: str, version: object) -> int:
        return self._loaded.version

    async def index(self) -> list[Any]:
        return []

    def policy(self, name: str) -> tuple[Policy, int]:
        return Policy(), 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """A client at each door."""

    nets: CountingNets
    channel: grpc.aio.Channel
    stub: Any
    http: httpx.AsyncClient

    async def stream(self, requests: Iterable[pb.ModelInferRequest]) -> list[pb.ModelStreamInferResponse]:
        """All answers of one stream."""
        return [answer async for answer in self.stub.ModelStreamInfer(iter(requests), timeout=30)]


@asynccontextmanager
async def open_doors(key_files: tuple[Path, Path]) -> AsyncIterator[Doors]:
    """Both of them, and who comes is an administrator."""
    nets = CountingNets()
    shelf: Any = OneModel(a_model_with_three_axes(nets))
    served = Nets(shelf, WhoeverServes(shelf), DynamicBatches())
    server = RpcServer(ServiceSettings(auth_public_key_file=key_files[1]), bind="127.0.0.1:0", audiences=[OIP_AUDIENCE])
    server.add(add_to_server, OpenInference(served, "test"))
    await server.start()
    token = TokenMinter.from_file(key_files[0]).mint(ADMIN, audience=OIP_AUDIENCE, lifetime_s=600)
    rest = create_rest(served, TokenVerifier.from_file(key_files[1], [OIP_AUDIENCE]), "test", LIMIT)
    http = httpx.AsyncClient(
        transport=httpx.ASGITransport(rest), base_url="http://room", headers={"authorization": f"Bearer {token}"}
    )
    try:
        async with http, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", interceptors=_with(token)) as channel:
            yield Doors(nets=nets, channel=channel, stub=pb_grpc.GRPCInferenceServiceStub(channel), http=http)
    finally:
        await server.stop(0)


def _with(token: str) -> list[grpc.aio.ClientInterceptor]:
    """Each call carries the token."""

    def carrying(details: Any) -> Any:
        return details._replace(metadata=grpc.aio.Metadata(("authorization", f"Bearer {token}")))

    class Unary(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            return await continuation(carrying(details), request)

    class Stream(grpc.aio.StreamStreamClientInterceptor):
        async def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
            return await continuation(carrying(details), requests)

    return [Unary(), Stream()]


def images(rows: int = 2) -> Array:
    """Inputs that the network takes."""
    return np.random.default_rng(3).normal(size=(rows, *SHAPE)).astype(np.float32)


def a_request(id_: str = "", array: Array | None = None, **parameters: pb.InferParameter) -> pb.ModelInferRequest:
    """A gRPC request with an input that fits, or with this one."""
    array = images() if array is None else array
    request = pb.ModelInferRequest(model_name=NAME, id=id_, parameters=parameters)
    request.inputs.add(name="image", datatype="FP32", shape=array.shape)
    request.raw_input_contents.append(array.astype("<f4").tobytes())
    return request


def a_body(**more: Any) -> dict[str, Any]:
    """A JSON body with an input that fits; `more` replaces parts of it."""
    array = images()
    given = {"name": "image", "datatype": "FP32", "shape": list(array.shape), "data": array.ravel().tolist()}
    return {"inputs": [given], **more}

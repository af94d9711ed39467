"""The protocol by REST, with Triton's extension for binary tensors; errors are `{"error": ...}`, as it says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from irp_chassis.auth import Caller, TokenVerifier, act_as
from irp_chassis.bounded_body import read_body
from irp_chassis.http import NO_TELEMETRY
from irp_chassis.verdicts import answerable, http_status
from irp_chassis.while_there import while_there
from irp_kernel.errors import IrpError, Unauthenticated
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from irp_inference.adapters.oip.bodies import (
    HEADER_LENGTH,
    answer_with,
    document_of,
    images_in,
    split,
    unpack,
)
from irp_inference.adapters.oip.forms import IndexBody, InferBody, LoadBody, read
from irp_inference.adapters.oip.grpc_door import EXTENSIONS
from irp_inference.adapters.oip.messages import (
    config_of,
    metadata_of,
    require_outputs,
    statistics_of,
    ticket,
)
from irp_inference.adapters.oip.nets import LARGE, Nets
from irp_inference.domain.errors import TensorNotUsable


def create_rest(nets: Nets, verifier: TokenVerifier | None, version: str, limit: int) -> FastAPI:
    """The app for the protocol's HTTP port.

    Args:
        nets: what it answers from.
        verifier: of tokens; without it every call but health is refused.
        version: of the server.
        limit: bytes of one body, unpacked.
    """
    app = FastAPI(
        title="Open Inference Protocol v2",
        version=version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry=NO_TELEMETRY,
    )
    door = _Rest(nets, limit)
    open_, closed = APIRouter(prefix="/v2"), APIRouter(prefix="/v2")
    open_.add_api_route("/health/live", door.live)
    open_.add_api_route("/health/ready", door.server_ready)
    open_.add_api_route("", _server(version))
    model = "/models/{name}"
    for path in (model, f"{model}/versions/{{version}}"):
        closed.add_api_route(path, door.metadata)
        closed.add_api_route(f"{path}/ready", door.ready)
        closed.add_api_route(f"{path}/config", door.config)
        closed.add_api_route(f"{path}/stats", door.statistics)
    closed.add_api_route("/models/stats", door.all_statistics)
    closed.add_api_route("/repository/index", door.index, methods=["POST"])
    closed.add_api_route("/repository/models/{name}/load", door.load, methods=["POST"])
    closed.add_api_route("/repository/models/{name}/unload", door.unload, methods=["POST"])
    for kind in ("systemsharedmemory", "cudasharedmemory"):
        closed.add_api_route(f"/{kind}/status", door.no_regions)
        closed.add_api_route(f"/{kind}/unregister", door.nothing, methods=["POST"])
        closed.add_api_route(f"/{kind}/region/{{name}}/unregister", door.nothing, methods=["POST"])
        closed.add_api_route(f"/{kind}/region/{{name}}/register", door.no_shared_memory, methods=["POST"])
    # /models/stats before /models/{name}
    closed.routes.sort(key=lambda route: "{" in getattr(route, "path", ""))
    # The one call whose time counts: a plain route, tried first, without FastAPI's reading of parameters.
    for number, path in enumerate((f"/v2{model}/infer", f"/v2{model}/versions/{{version}}/infer")):
        app.router.routes.insert(number, Route(path, door.infer, methods=["POST"]))
    app.include_router(open_)
    app.include_router(closed)
    app.add_exception_handler(IrpError, _refused)
    app.add_exception_handler(HTTPException, _no_address)
    app.add_exception_handler(ClientDisconnect, _left)
    app.add_middleware(_Guard, verifier=verifier)
    return app


class _Rest:
    def __init__(self, nets: Nets, limit: int) -> None:
        self._nets, self._limit = nets, limit

    async def live(self) -> Response:
        return Response()

    async def server_ready(self) -> Response:
        return Response(status_code=200 if await self._nets.server_ready() else 503)

    async def ready(self, name: str, version: str = "") -> Response:
        return Response(status_code=200 if await self._nets.ready(name, version) else 404)

    async def metadata(self, name: str, version: str = "") -> Response:
        return _json(metadata_of(await self._nets.describe(name, version)))

    async def config(self, name: str, version: str = "") -> Response:
        return _json(config_of(await self._nets.describe(name, version)))

    async def statistics(self, name: str, version: str = "") -> Response:
        found = await self._nets.statistics(name, version)
        return JSONResponse({"model_stats": [_plain(statistics_of(*one)) for one in found]})

    async def all_statistics(self) -> Response:
        return await self.statistics("")

    async def index(self, request: Request) -> Response:
        asked = read(IndexBody, await self._asked(request))
        found = await self._nets.index(asked.ready)
        return JSONResponse([{"name": n, "version": str(v), "state": s, "reason": r} for n, v, s, r in found])

    async def load(self, name: str, request: Request) -> Response:
        asked = read(LoadBody, await self._asked(request))
        await self._nets.load(name, asked.parameters)
        return JSONResponse({})

    async def unload(self, name: str) -> Response:
        await self._nets.unload(name)
        return JSONResponse({})

    async def no_regions(self) -> Response:
        return JSONResponse([])

    async def nothing(self) -> Response:
        return JSONResponse({})

    async def no_shared_memory(self, name: str) -> Response:
        return JSONResponse({"error": "shared memory is not offered: send the tensor's bytes"}, 501)

    async def infer(self, request: Request) -> Response:
        name, version = request.path_params["name"], request.path_params.get("version", "")
        head, rest = split(await self._body(request), request.headers.get(HEADER_LENGTH))
        asked = read(InferBody, document_of(head))
        images = images_in(asked, rest)
        require_outputs(output.name for output in asked.outputs)
        if any(output.parameters.classification is not None for output in asked.outputs):
            raise TensorNotUsable("classification is not offered: logits are answered")
        infer = self._nets.infer(name, version, images, ticket(asked.parameters, None), asked.id)
        served, logits = await while_there(request.receive, infer)
        answer = {"model_name": name, "model_version": str(served), **({"id": asked.id} if asked.id else {})}
        if asked.wants_binary and logits.nbytes < LARGE:
            return answer_with(answer, logits, binary=True)
        return await asyncio.to_thread(answer_with, answer, logits, asked.wants_binary)

    async def _asked(self, request: Request) -> dict[str, Any]:
        """The JSON object of a body that may be empty."""
        return document_of(await self._body(request) or b"{}")

    async def _body(self, request: Request) -> bytes:
        """The body, unpacked, within its limit."""
        body = await read_body(request, self._limit)
        kind = request.headers.get("content-encoding", "identity")
        if kind == "identity":
            return body
        if kind not in {"gzip", "deflate"}:
            raise TensorNotUsable("bodies are packed with gzip or deflate, or not at all")
        return await asyncio.to_thread(unpack, body, self._limit)


class _Guard:
    """Who comes without a token learns only whether the server lives; what nobody foresaw tells nothing of itself.

    No task and no copy per request.
    """

    def __init__(self, app: ASGIApp, verifier: TokenVerifier | None) -> None:
        self._app, self._verifier = app, verifier
        self._log = structlog.get_logger(door="open_inference")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            if not _is_open(scope["path"]):
                act_as(self._caller(Headers(scope=scope).get("authorization", "")))
            await self._app(scope, receive, send)
        except Exception as error:
            known = answerable(error)
            if known is not error:
                self._log.error("open_inference_failed", exc_info=error)
            await _refusal(known)(scope, receive, send)

    def _caller(self, authorization: str) -> Caller:
        scheme, _, token = authorization.partition(" ")
        if self._verifier is None or scheme.lower() != "bearer":
            raise Unauthenticated("the call carries no token")
        return self._verifier.verify(token)


def _is_open(path: str) -> bool:
    return path.startswith("/v2/health/") or path == "/v2"


async def _refused(_request: Request, error: Exception) -> Response:
    return _refusal(answerable(error))


async def _no_address(_request: Request, error: Exception) -> Response:
    """Starlette's own refusals: unknown address, wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101  registered for it only
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


async def _left(_request: Request, _error: Exception) -> Response:
    return Response(status_code=499)  # nobody hears it


def _refusal(error: IrpError) -> Response:
    headers = {"Retry-After": str(max(1, round(error.retry_after_s)))} if error.retry_after_s else None
    return JSONResponse({"error": f"{error.reason}: {error.message}"}, http_status(error), headers)


def _server(version: str) -> Callable[[], Awaitable[Response]]:
    async def server() -> Response:
        return JSONResponse({"name": "openirp-inference", "version": version, "extensions": list(EXTENSIONS)})

    return server


def _plain(message: Message) -> dict[str, Any]:
    """A message as JSON with numbers as numbers (protobuf's own JSON writes 64-bit ones as text)."""
    return {field.name: _value(field, value) for field, value in message.ListFields()}


def _value(field: FieldDescriptor, value: Any) -> Any:
    if field.is_repeated:
        return [_single(field, one) for one in value]
    return _single(field, value)


def _single(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    return _plain(value) if field.message_type is not None else value


def _json(message: Message) -> Response:
    return JSONResponse(_plain(message))

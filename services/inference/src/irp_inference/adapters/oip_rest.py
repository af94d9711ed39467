"""Open Inference Protocol v2 by REST: the twin of the gRPC door, errors as `{"error": "..."}`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from irp_chassis.auth import TokenVerifier, act_as
from irp_chassis.verdicts import http_status
from irp_kernel.errors import IrpError, Unauthenticated, Unimplemented
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from irp_inference.adapters import oip_repository
from irp_inference.adapters.oip_bodies import read_body, read_json
from irp_inference.adapters.oip_models import Catalogue
from irp_inference.adapters.oip_not_offered import NO_SETTINGS, NO_SHARED_MEMORY
from irp_inference.adapters.oip_rest_infer import RestInfer
from irp_inference.app.repository import Repository

OPEN = ("/v2/health/live", "/v2/health/ready")
SMALL_BODY = 1 << 20
Ready = Callable[[], Awaitable[bool]]


def rest_door(
    infer: RestInfer, catalogue: Catalogue, repository: Repository, verifier: TokenVerifier | None, room_ready: Ready
) -> FastAPI:
    """The app; health needs no token, everything else the same tokens as gRPC."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.add_exception_handler(IrpError, _on_error)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_middleware(_Door, verifier=verifier)
    _add_server(app, catalogue, repository, room_ready)
    _add_models(app, infer, catalogue)
    _add_repository(app, catalogue, repository)
    _add_not_offered(app)
    return app


def _add_server(app: FastAPI, catalogue: Catalogue, repository: Repository, room_ready: Ready) -> None:
    @app.get("/v2/health/live")
    async def live() -> Response:
        return Response()

    @app.get("/v2/health/ready")
    async def ready() -> Response:
        return Response(status_code=200 if await room_ready() and await repository.ready() else 400)

    @app.get("/v2")
    async def server() -> Response:
        return JSONResponse(catalogue.server())


def _add_models(app: FastAPI, infer: RestInfer, catalogue: Catalogue) -> None:
    async def ready(name: str, version: str = "") -> Response:
        return Response(status_code=200 if catalogue.ready(name, version) else 400)

    async def metadata(name: str, version: str = "") -> Response:
        async with infer.infer.use(name, version) as (model, stage):
            return JSONResponse(await catalogue.metadata(model, stage))

    async def config(name: str, version: str = "") -> Response:
        async with infer.infer.use(name, version) as (model, stage):
            return JSONResponse(catalogue.config(model, stage))

    async def statistics(name: str = "", version: str = "") -> Response:
        return JSONResponse({"model_stats": await catalogue.statistics(name, version)})

    async def answer(request: Request, name: str, version: str = "") -> Response:
        return await infer(request, name, version)

    app.add_api_route("/v2/models/stats", statistics)
    for at in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        app.add_api_route(at, metadata)
        app.add_api_route(f"{at}/ready", ready)
        app.add_api_route(f"{at}/config", config)
        app.add_api_route(f"{at}/stats", statistics)
        app.add_api_route(f"{at}/infer", answer, methods=["POST"])


def _add_repository(app: FastAPI, catalogue: Catalogue, repository: Repository) -> None:
    @app.post("/v2/repository/index")
    async def index(request: Request) -> Response:
        asked = read_json(await read_body(request, SMALL_BODY))
        return JSONResponse(await catalogue.index(ready_only=asked.get("ready") is True))

    @app.post("/v2/repository/models/{name}/load")
    async def load(request: Request, name: str) -> Response:
        given = read_json(await read_body(request, SMALL_BODY)).get("parameters")
        await oip_repository.load(repository, name, set(given) if isinstance(given, dict) else set())
        return Response()

    @app.post("/v2/repository/models/{name}/unload")
    async def unload(name: str) -> Response:
        await oip_repository.unload(repository, name)
        return Response()


def _add_not_offered(app: FastAPI) -> None:
    async def nothing(name: str = "") -> Response:
        return JSONResponse([])

    async def done(name: str = "") -> Response:
        return Response()

    async def refuse_memory(name: str) -> Response:
        raise Unimplemented(NO_SHARED_MEMORY)

    async def settings(name: str = "") -> Response:
        return JSONResponse({})

    async def refuse_settings(name: str = "") -> Response:
        raise Unimplemented(NO_SETTINGS)

    for kind in ("system", "cuda"):
        at = f"/v2/{kind}sharedmemory"
        for under in ("", "/region/{name}"):
            app.add_api_route(f"{at}{under}/status", nothing)
            app.add_api_route(f"{at}{under}/unregister", done, methods=["POST"])
        app.add_api_route(f"{at}/region/{{name}}/register", refuse_memory, methods=["POST"])
    for at in ("/v2/logging", "/v2/trace/setting", "/v2/models/{name}/trace/setting"):
        app.add_api_route(at, settings)
        app.add_api_route(at, refuse_settings, methods=["POST"])


def _told(error: IrpError) -> JSONResponse:
    headers = {} if error.retry_after_s is None else {"Retry-After": str(max(1, round(error.retry_after_s)))}
    return JSONResponse({"error": error.message}, http_status(error), headers)


async def _on_error(_request: Request, error: Exception) -> Response:
    return _told(error if isinstance(error, IrpError) else IrpError())


async def _on_http(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return JSONResponse({"error": "no such address" if status == 404 else "no such method here"}, status)


class _Door:
    """Verifies the bearer token; whatever else goes wrong says nothing of its cause."""

    def __init__(self, app: ASGIApp, verifier: TokenVerifier | None) -> None:
        self._app, self._verifier = app, verifier
        self._log = structlog.get_logger(door="oip_http")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        try:
            self._enter(Headers(scope=scope).get("authorization", ""))
        except IrpError as error:
            await _told(error)(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            self._log.error("oip_failed", exc_info=error)
            await _told(IrpError())(scope, receive, send)

    def _enter(self, header: str) -> None:
        scheme, _, token = header.partition(" ")
        if self._verifier is None or scheme.lower() != "bearer":
            raise Unauthenticated("the request carries no bearer token: `irp inference token` prints one")
        act_as(self._verifier.verify(token))

"""The HTTP app of a room: problems by RFC 9457, health, readiness that checks real parts, metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.telemetry import TelemetryConfig
from irp_kernel.errors import Code, InvalidArgument, IrpError
from opentelemetry import propagate
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from irp_chassis.telemetry import HTTP_SECONDS, span, trace_id
from irp_chassis.verdicts import TABLE, advice_of, http_status, title_of

PROBLEM = "application/problem+json"
# FastAPI's own spans and metrics repeat ours at a tenth of a request's time, and may keep the text of an error.
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
CHECK_S = 5.0  # seconds that one readiness check may take

Check = Callable[[], Awaitable[None]]

_OF_STATUS = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 406: "NOT_ACCEPTABLE", 413: "TOO_LARGE"}
_ADVICE = {
    404: "Check the address; /openapi.json lists every one.",
    405: "Use one of the methods in the Allow header.",
}


class Readiness:
    """Named checks of the parts a room cannot work without, and of those it can."""

    def __init__(self) -> None:
        self._needed: dict[str, Check] = {}
        self._wanted: dict[str, Check] = {}
        self.draining = False

    def need(self, name: str, check: Check) -> None:
        """Not ready while this check raises."""
        self._needed[name] = check

    def want(self, name: str, check: Check) -> None:
        """Degraded, but ready, while this check raises."""
        self._wanted[name] = check

    async def report(self) -> tuple[bool, dict[str, str]]:
        """(ready, state per part)."""
        names = [*self._needed, *self._wanted]
        checks = [*self._needed.values(), *self._wanted.values()]
        states = dict(zip(names, await asyncio.gather(*map(_state, checks)), strict=True))
        ready = not self.draining and all(states[name] == "ok" for name in self._needed)
        return ready, states


async def _state(check: Check) -> str:
    try:
        await asyncio.wait_for(check(), CHECK_S)
    except IrpError as error:
        return error.reason
    except Exception as error:
        return type(error).__name__
    return "ok"


def problem(error: IrpError, *, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    """An error as RFC 9457 problem; 5xx of unknown cause says nothing of the cause."""
    status = http_status(error)
    headers = dict(headers or {})
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if error.code is Code.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = 'Bearer realm="openirp"'
    body = {
        "type": f"/problems/{error.reason}",
        "title": title_of(error),
        "status": status,
        "detail": error.message,
        "code": error.code.value,
        "reason": error.reason,
        "advice": advice_of(error),
        "trace_id": trace_id(),
        **error.details,
        **more,
    }
    return JSONResponse(body, status, headers, media_type=PROBLEM)


def create_app(title: str, version: str, readiness: Readiness, **arguments: Any) -> FastAPI:
    """A FastAPI app with the house's answers to errors and to probes."""
    app = FastAPI(title=title, version=version, telemetry=NO_TELEMETRY, **arguments)
    app.add_exception_handler(IrpError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_middleware(_Observe)
    app.add_api_route("/healthz", _healthz, include_in_schema=False)
    app.add_api_route("/metrics", _metrics, include_in_schema=False)

    async def readyz() -> JSONResponse:
        ready, parts = await readiness.report()
        degraded = ready and any(state != "ok" for state in parts.values())
        word = "degraded" if degraded else ("ready" if ready else "not ready")
        return JSONResponse({"status": word, "parts": parts}, 200 if ready else 503)

    app.add_api_route("/readyz", readyz, include_in_schema=False)
    return app


async def _healthz() -> PlainTextResponse:
    return PlainTextResponse("ok")


async def _metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _on_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, IrpError)  # noqa: S101  registered for IrpError only
    return problem(error)


async def _on_invalid(_request: Request, error: Exception) -> Response:
    """422: where and what, never the value that was sent."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    errors = [{"at": "/".join(map(str, e["loc"])), "message": e["msg"], "type": e["type"]} for e in error.errors()]
    body = {
        "type": "/problems/BODY_NOT_VALID",
        "title": "The request does not have the expected form",
        "status": 422,
        "detail": "; ".join(f"{e['at']}: {e['message']}" for e in errors[:5]),
        "code": Code.INVALID_ARGUMENT.value,
        "reason": "BODY_NOT_VALID",
        "advice": "Correct the places listed in `errors`; /openapi.json holds the schema.",
        "trace_id": trace_id(),
        "errors": errors,
    }
    return JSONResponse(body, 422, media_type=PROBLEM)


async def _on_http(_request: Request, error: Exception) -> Response:
    """Starlette's own refusals: unknown address, wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101
    status = error.status_code
    code = next((c.value for c, verdict in TABLE.items() if verdict.http == status), Code.INVALID_ARGUMENT.value)
    reason = _OF_STATUS.get(status, code)
    body = {
        "type": f"/problems/{reason}",
        "title": reason.replace("_", " ").capitalize(),
        "status": status,
        "detail": str(error.detail),
        "code": code,
        "reason": reason,
        "advice": _ADVICE.get(status, "/openapi.json describes every address."),
        "trace_id": trace_id(),
    }
    return JSONResponse(body, status, dict(error.headers or {}), media_type=PROBLEM)


class _Observe:
    """Trace, time and log every request; unknown exceptions become a problem that says nothing of them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = structlog.get_logger(door="http")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        carrier = {k.decode(): v.decode("latin-1") for k, v in scope["headers"] if k == b"traceparent"}
        with span(f"HTTP {scope['method']}", carrier):
            try:
                if "\0" in scope["path"] or b"%00" in scope["query_string"]:
                    await problem(InvalidArgument("an address has no NUL"))(scope, receive, send_on)
                    return
                await self._app(scope, receive, send_on)
            except Exception as error:
                self._log.error("http_failed", exc_info=error)
                await problem(IrpError())(scope, receive, send_on)
            finally:
                route = getattr(scope.get("route"), "path", "other")
                if route not in {"/healthz", "/readyz", "/metrics"}:
                    took = time.monotonic() - began
                    HTTP_SECONDS.labels(scope["method"], route, str(status)).observe(took)
                    self._log.info("http", method=scope["method"], route=route, status=status, ms=round(took * 1000, 1))


def trace_headers() -> dict[str, str]:
    """`traceparent` of the present trace, for answers and onward calls."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier

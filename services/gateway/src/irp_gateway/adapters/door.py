"""What every address under /api goes through: who is it, how large is the body, and a line in the audit log.

A route of this class is closed to strangers before a byte of its body is read; nobody has to remember a dependency.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from irp_chassis.auth import Caller, act_as
from irp_chassis.bounded_body import read_body
from irp_chassis.verdicts import RemoteError, http_status
from irp_chassis.while_there import while_there
from irp_kernel.errors import IrpError, PermissionDenied, UnsupportedMediaType
from starlette.requests import ClientDisconnect
from starlette.types import Message

from irp_gateway.adapters.desk import desk_of
from irp_gateway.domain.errors import BodyNotReadable, ClientLeft
from irp_gateway.domain.roles import ADMIN, Identity

MAX_JSON_BYTES = 1 << 20  # of a body that is described as JSON in /openapi.json
AUDITED: dict[str, Any] = {"x-audited": True}
"""`openapi_extra` of a GET that hands out images, masks or values of patients: it is written into the audit log too."""

CHANGES_NOTHING: dict[str, Any] = {"x-changes-nothing": True}
"""`openapi_extra` of a POST outside of projects that keeps nothing: a token of one project may send it, too."""
READS = frozenset({"GET", "HEAD"})
WHILE_THERE: dict[str, Any] = {"x-while-there": True}
"""`openapi_extra` of what costs computing and keeps nothing: it ends where its client leaves."""

Answer = Callable[[Request], Coroutine[Any, Any, Response]]


class Door(APIRoute):
    """Identifies, limits, audits."""

    def get_route_handler(self) -> Answer:
        """The handler with the door around it."""
        answer: Answer = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            desk = desk_of(request)
            identity = await desk.identify(request.headers.get("authorization", ""))
            request.state.identity = identity
            act_as(Caller(subject=identity.subject, roles=frozenset({ADMIN}) if identity.admin else frozenset()))
            status = 500
            try:
                self._require_inside(request, identity)
                answering = answer(await self._bounded(request))
                response = await (while_there(request.receive, answering) if self._says("x-while-there") else answering)
                status = response.status_code
            except ClientDisconnect:
                status = 499
                raise ClientLeft from None
            except RequestValidationError:
                status = 422
                raise
            except IrpError as error:
                status = http_status(error)
                _remember(desk.problems, error)
                raise
            finally:
                if self._is_audited(request):
                    await desk.audit.write(**self._line(request, identity, status))
            return response

        return guarded

    def _require_inside(self, request: Request, identity: Identity) -> None:
        """Owners choose for whom a token of their project speaks, so that outside it is nobody's word."""
        outside = identity.project and "project" not in request.path_params  # inside another one: EnterProject
        if outside and request.method not in READS and not self._says("x-changes-nothing"):
            raise PermissionDenied(
                f"a token of the project {identity.project} has no role outside it: come with one that an admin made"
            )

    def _says(self, extra: str) -> bool:
        return bool((self.openapi_extra or {}).get(extra))

    async def _bounded(self, request: Request) -> Request:
        """The request with its JSON body already read, no further than the limit."""
        if self.body_field is None:
            return request
        media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if media_type != "application/json":
            raise UnsupportedMediaType("send application/json")
        body = await read_body(request, MAX_JSON_BYTES)
        if b"\\u0000" in body:
            raise BodyNotReadable("a text has no NUL")  # PostgreSQL keeps none

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        return Request(request.scope, replay)

    def _is_audited(self, request: Request) -> bool:
        return request.method not in READS or self._says("x-audited")

    def _line(self, request: Request, identity: Identity, status: int) -> dict[str, Any]:
        path = dict(request.path_params)
        project = str(path.pop("project", ""))
        named = [f"{name}={value}" for name, value in path.items()]
        made = [f"{name}={value}" for name, value in getattr(request.state, "made", {}).items()]
        return {
            "subject": identity.subject,
            "project": project or getattr(request.state, "made", {}).get("project", ""),
            "action": f"{self.tags[0] if self.tags else 'gateway'}.{self.name}",
            "target": " ".join([*named, *made]),
            "status": status,
        }


def made(request: Request, **ids: object) -> None:
    """Name what a request made or touched beyond its path, for the audit log: identifiers and counts only."""
    request.state.made = {**getattr(request.state, "made", {}), **ids}


def _remember(problems: dict[str, tuple[str, str]], error: IrpError) -> None:
    """Keep the words of another room's refusal, so that /problems/{reason} can show its page."""
    if isinstance(error, RemoteError) and (error.reason in problems or len(problems) < MAX_PROBLEMS):
        problems[error.reason] = (error.remote_title, error.remote_advice)


MAX_PROBLEMS = 512

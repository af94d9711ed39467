"""/projects: configuration documents and their revisions; what happens in a project."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from irp_chassis.bounded_body import read_body
from pydantic import BaseModel, Field

from irp_gateway.adapters.answers import Page, Paging, keyed_page
from irp_gateway.adapters.desk import DeskHere
from irp_gateway.adapters.documents import read_document
from irp_gateway.adapters.door import Door, made
from irp_gateway.adapters.listening import tell
from irp_gateway.adapters.visitor import AnyMember, Owner, Visitor
from irp_gateway.app.ports import Project
from irp_gateway.domain.configuration import Configuration
from irp_gateway.domain.cursor import from_cursor
from irp_gateway.domain.errors import RevisionChanged

router = APIRouter(prefix="/api/v1/projects", tags=["projects"], route_class=Door)

MAX_DOCUMENT_BYTES = 1 << 20
DOCUMENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"$ref": "#/components/schemas/Configuration"}}
            for kind in ("application/json", "application/yaml")
        },
    }
}


class ProjectAnswer(BaseModel):
    """A project at its present revision."""

    name: str = Field(examples=["sunnybrook"])
    title: str
    revision: int = Field(description="counts from 1")
    digest: str = Field(description="SHA-256 of the canonical configuration document")
    created_at: str


class ProjectDocument(ProjectAnswer):
    """A project with its configuration."""

    configuration: Configuration


@router.post(
    "", status_code=201, summary="Create a project from its configuration (JSON or YAML)", openapi_extra=DOCUMENT
)
async def create(request: Request, response: Response, identity: Visitor, desk: DeskHere) -> ProjectAnswer:
    """Whoever creates a project owns it. Answers Location, ETag (the revision) and digest."""
    project = await desk.create_project(await _document(request), identity)
    made(request, project=project.id, revision=1)
    response.headers.update({"Location": desk.address("projects", project.id), "ETag": _etag(project)})
    return _answer(project)


@router.get("", summary="Projects that you are a member of")
async def list_projects(identity: Visitor, desk: DeskHere, paging: Annotated[Paging, Query()]) -> Page[ProjectAnswer]:
    """By name."""
    found = await desk.projects.of(identity, after=from_cursor(paging.cursor), limit=paging.limit + 1)
    return keyed_page([_answer(project) for project in found], [project.id for project in found], paging.limit)


@router.get("/{project}", summary="One project with its configuration")
async def get(here: AnyMember, response: Response) -> ProjectDocument:
    """ETag is the revision: send it as If-Match when you change the configuration."""
    response.headers["ETag"] = _etag(here.project)
    document = Configuration.model_validate_json(await here.desk.objects.get(here.project.configuration))
    return ProjectDocument(**_answer(here.project).model_dump(), configuration=document)


@router.put("/{project}", summary="A new revision of the configuration", openapi_extra=DOCUMENT)
async def revise(
    request: Request, here: Owner, response: Response, if_match: Annotated[str, Header()] = "*"
) -> ProjectAnswer:
    """With If-Match, refused (412) when somebody else was faster; the same document again changes nothing."""
    document, expected = await _document(request), _revision(if_match)
    project = await here.desk.revise_project(here.project, document, expected, by_admin=here.identity.admin)
    made(request, revision=project.revision)
    response.headers.update({"Location": here.address(), "ETag": _etag(project)})
    return _answer(project)


@router.get(
    "/{project}/events",
    summary="What happens in the project (server-sent events)",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events(request: Request, here: AnyMember) -> StreamingResponse:
    """From now on; `event` is the fact's name, e.g. SeriesStored, `id` the fact's own: it may be told twice."""
    return tell(request, here, here.desk.listeners.listen(here.project.id, admin=here.identity.admin))


async def _document(request: Request) -> Any:
    return await asyncio.to_thread(read_document, await read_body(request, MAX_DOCUMENT_BYTES))


def _revision(if_match: str) -> int | None:
    """The revision that If-Match asks for; None = any. Source: RFC 9110 section 13.1.1."""
    text = if_match.strip().removeprefix("W/").strip('"')
    if text == "*":
        return None
    if not text.isdecimal() or len(text) > 9:
        raise RevisionChanged("If-Match is not the ETag of any revision")
    return int(text)


def _etag(project: Project) -> str:
    return f'"{project.revision}"'


def _answer(project: Project) -> ProjectAnswer:
    return ProjectAnswer(
        name=project.id,
        title=project.title,
        revision=project.revision,
        digest=project.configuration.sha256,
        created_at=project.created_at,
    )

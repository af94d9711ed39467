"""/api/v1/projects: configuration, members, tokens."""

from __future__ import annotations

import json
import secrets
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Header, Request, Response
from irp_kernel import sha256_of
from pydantic import BaseModel, Field

from irp_gateway.adapters.visitor import Admin, AnyMember, DeskHere, Owner, Visitor, read_body
from irp_gateway.app.ports import Project
from irp_gateway.domain.errors import BodyNotReadable
from irp_gateway.domain.roles import ROLES, Identity, Member

router = APIRouter(prefix="/api/v1", tags=["projects"])

MAX_DOCUMENT_BYTES = 1 << 20


class ProjectAnswer(BaseModel):
    """A project at its present revision."""

    name: str
    title: str
    revision: int
    digest: str = Field(description="SHA-256 of the canonical configuration document")
    created_at: str
    configuration: dict[str, Any] | None = None


class ProjectPage(BaseModel):
    """Projects that the caller may see."""

    items: list[ProjectAnswer]


class MemberBody(BaseModel):
    """Roles of a member."""

    roles: list[str] = Field(examples=[["annotator"]], description=f"some of {', '.join(ROLES)}")


class TokenAnswer(BaseModel):
    """A new token; it is shown once and kept as a hash."""

    subject: str
    token: str


@router.post("/projects", status_code=201, summary="Create a project from its configuration (JSON or YAML)")
async def create(request: Request, response: Response, identity: Visitor, desk: DeskHere) -> ProjectAnswer:
    """The body is the configuration document; the answer has its Location and digest."""
    project = await desk.create_project(await _document(request), identity)
    response.headers["Location"] = f"{desk.public_url}/api/v1/projects/{project.id}"
    await desk.audit.write(
        subject=identity.subject, project=project.id, action="project.create", target=project.id, status=201
    )
    return _answer(project)


@router.get("/projects", summary="Projects that you are a member of")
async def list_projects(identity: Visitor, desk: DeskHere) -> ProjectPage:
    """By name."""
    return ProjectPage(items=[_answer(project) for project in await desk.projects.of(identity)])


@router.get("/projects/{project}", summary="One project with its configuration")
async def get(here: AnyMember, response: Response) -> ProjectAnswer:
    """ETag is the revision: send it as If-Match when you change the configuration."""
    response.headers["ETag"] = f'"{here.project.revision}"'
    document = json.loads(await here.desk.objects.get(here.project.configuration))
    return _answer(here.project, document)


@router.put("/projects/{project}", summary="A new revision of the configuration")
async def revise(request: Request, here: Owner, if_match: Annotated[str | None, Header()] = None) -> ProjectAnswer:
    """With If-Match, refused (412) when somebody else was faster."""
    wanted = if_match.strip().strip('"') if if_match else ""
    expected = int(wanted) if wanted.isdecimal() else None
    project = await here.desk.revise_project(here.project, await _document(request), expected)
    await here.note("project.revise", str(project.revision))
    return _answer(project)


@router.put("/projects/{project}/members/{subject}", status_code=204, summary="Add a member or change the roles")
async def put_member(subject: str, body: MemberBody, here: Owner) -> None:
    """Roles: owner, annotator, uploader, viewer."""
    unknown = set(body.roles) - set(ROLES)
    if unknown or not body.roles:
        raise BodyNotReadable(f"roles are {', '.join(ROLES)}")
    await here.desk.projects.put_member(here.project.id, Member(subject=subject, roles=frozenset(body.roles)))
    await here.note("member.put", subject)


@router.get("/projects/{project}/members", summary="Members and their roles")
async def list_members(here: AnyMember) -> dict[str, list[dict[str, Any]]]:
    """By subject."""
    members = await here.desk.projects.members(here.project.id)
    return {"items": [{"subject": m.subject, "roles": sorted(m.roles)} for m in members]}


@router.post("/tokens/{subject}", status_code=201, summary="A new bearer token for a person or service")
async def create_token(subject: str, admin: Admin, desk: DeskHere) -> TokenAnswer:
    """For administrators; the token is shown once."""
    token = f"irp_{secrets.token_urlsafe(32)}"
    await desk.tokens.add(sha256_of(token.encode()), Identity(subject=subject))
    await desk.audit.write(subject=admin.subject, project="", action="token.create", target=subject, status=201)
    return TokenAnswer(subject=subject, token=token)


async def _document(request: Request) -> Any:
    body = await read_body(request, MAX_DOCUMENT_BYTES)
    try:
        # JSON is YAML; the safe loader makes no objects, and aliases are refused: they can grow without bound.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(body)):
            raise BodyNotReadable("aliases are not allowed in a configuration document")
        return yaml.safe_load(body)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise BodyNotReadable from None


def _answer(project: Project, document: dict[str, Any] | None = None) -> ProjectAnswer:
    return ProjectAnswer(
        name=project.id,
        title=project.title,
        revision=project.revision,
        digest=project.configuration.sha256,
        created_at=project.created_at,
        configuration=document,
    )

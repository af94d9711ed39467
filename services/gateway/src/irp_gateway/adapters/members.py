"""/members and /tokens: who belongs to a project, and with which tokens people and services come."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from irp_gateway.adapters.answers import Page, Paging, keyed_page
from irp_gateway.adapters.desk import Desk, DeskHere
from irp_gateway.adapters.door import Door, made
from irp_gateway.adapters.visitor import Admin, AnyMember, Owner, SubjectInPath
from irp_gateway.app.ports import Token
from irp_gateway.domain.cursor import from_cursor
from irp_gateway.domain.errors import MemberUnknown, RoleUnknown
from irp_gateway.domain.roles import ROLES, SUBJECT, Identity, Member

router = APIRouter(prefix="/api/v1", tags=["members"], route_class=Door)

TokenId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]


class MemberBody(BaseModel):
    """Roles of a member."""

    model_config = ConfigDict(extra="forbid")

    roles: list[str] = Field(examples=[["annotator"]], description=f"some of {', '.join(ROLES)}")


class MemberAnswer(BaseModel):
    """A member and the roles."""

    subject: str
    roles: list[str]


class TokenBody(BaseModel):
    """Whom a new token speaks for."""

    model_config = ConfigDict(extra="forbid")

    subject: str = Field(pattern=SUBJECT, examples=["reader-1"])
    site: str = Field("", pattern=rf"^$|{SUBJECT}", description="whose patients it uploads; empty = the subject's own")
    days: int | None = Field(None, ge=1, le=3650, description="until it expires; null = until it is revoked")


class AdminTokenBody(TokenBody):
    """Whom a new token of no single project speaks for."""

    admin: bool = Field(False, description="may see and do everything")


class TokenLine(BaseModel):
    """A token as it is kept: its text is not."""

    id: str
    subject: str
    admin: bool
    project: str = Field(description="the only project it opens; empty = every one the subject is a member of")
    site: str
    created_at: str
    expires_at: str | None


class TokenAnswer(TokenLine):
    """A new token; its text is shown this once."""

    token: str = Field(examples=["irp_..."])


@router.put("/projects/{project}/members/{subject}", summary="Add a member or change the roles")
async def put_member(subject: SubjectInPath, body: MemberBody, here: Owner) -> MemberAnswer:
    """Roles: owner, curator (decides in quarantine), annotator, uploader, viewer."""
    if not body.roles or set(body.roles) - set(ROLES):
        raise RoleUnknown
    member = Member(subject=subject, roles=frozenset(body.roles))
    await here.desk.projects.put_member(here.project.id, member)
    return MemberAnswer(subject=subject, roles=sorted(member.roles))


@router.get("/projects/{project}/members", summary="Members and their roles")
async def list_members(here: AnyMember, paging: Annotated[Paging, Query()]) -> Page[MemberAnswer]:
    """By subject."""
    found = await here.desk.projects.members(here.project.id, after=from_cursor(paging.cursor), limit=paging.limit + 1)
    answers = [MemberAnswer(subject=m.subject, roles=sorted(m.roles)) for m in found]
    return keyed_page(answers, [m.subject for m in found], paging.limit)


@router.delete("/projects/{project}/members/{subject}", status_code=204, summary="Take a member out")
async def remove_member(subject: SubjectInPath, here: Owner) -> None:
    """At once: the next request finds no project. The last owner stays."""
    await here.desk.projects.remove_member(here.project.id, subject)


@router.post(
    "/projects/{project}/tokens", status_code=201, summary="A bearer token for a member, for this project only"
)
async def issue_for_member(request: Request, body: TokenBody, here: Owner, response: Response) -> TokenAnswer:
    """Shown once, kept as a hash. What it may do follows the member's roles."""
    if await here.desk.projects.member(here.project.id, body.subject) is None:
        raise MemberUnknown
    identity = Identity(subject=body.subject, project=here.project.id, site=body.site)
    response.headers["Location"] = here.address("tokens")
    return await _issue(request, here.desk, identity, body.days)


@router.get("/projects/{project}/tokens", summary="Tokens that open this project only")
async def list_of_project(here: Owner, paging: Annotated[Paging, Query()]) -> Page[TokenLine]:
    """Whom they speak for; never their text."""
    return await _page(here.desk, here.project.id, paging)


@router.delete("/projects/{project}/tokens/{token_id}", status_code=204, summary="Revoke a token of this project")
async def revoke_of_project(token_id: TokenId, here: Owner) -> None:
    """At once."""
    await here.desk.tokens.revoke(token_id, here.project.id)


@router.post("/tokens", status_code=201, summary="A bearer token for a person or service")
async def issue(
    request: Request, body: AdminTokenBody, admin: Admin, desk: DeskHere, response: Response
) -> TokenAnswer:
    """For administrators. It opens every project that the subject is a member of."""
    response.headers["Location"] = desk.address("tokens")
    return await _issue(request, desk, Identity(subject=body.subject, admin=body.admin, site=body.site), body.days)


@router.get("/tokens", summary="Every token")
async def list_all(admin: Admin, desk: DeskHere, paging: Annotated[Paging, Query()]) -> Page[TokenLine]:
    """For administrators."""
    return await _page(desk, None, paging)


@router.delete("/tokens/{token_id}", status_code=204, summary="Revoke a token")
async def revoke(token_id: TokenId, admin: Admin, desk: DeskHere) -> None:
    """For administrators; at once."""
    await desk.tokens.revoke(token_id, None)


async def _issue(request: Request, desk: Desk, identity: Identity, days: int | None) -> TokenAnswer:
    text, token = await desk.issue_token(identity, timedelta(days=days) if days else None)
    made(request, subject=identity.subject, token=token.id)
    return TokenAnswer(**_line(token).model_dump(), token=text)


async def _page(desk: Desk, project: str | None, paging: Paging) -> Page[TokenLine]:
    found = await desk.tokens.of(project, after=from_cursor(paging.cursor), limit=paging.limit + 1)
    return keyed_page([_line(token) for token in found], [token.sha256 for token in found], paging.limit)


def _line(token: Token) -> TokenLine:
    who = token.identity
    return TokenLine(
        id=token.id,
        subject=who.subject,
        admin=who.admin,
        project=who.project,
        site=who.site,
        created_at=token.created_at,
        expires_at=token.expires_at or None,
    )

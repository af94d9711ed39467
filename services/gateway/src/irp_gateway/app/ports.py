"""What the gateway's verbs need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from irp_kernel import ObjectRef

from irp_gateway.domain.roles import Identity, Member


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project at its present revision.

    Attributes:
        id: name.
        title: for people.
        revision: counts from 1.
        configuration: the document (canonical JSON) of this revision.
        created_at: RFC 3339 UTC.
    """

    id: str
    title: str
    revision: int
    configuration: ObjectRef
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token as it is kept: its hash, and whom it speaks for.

    Attributes:
        sha256: of the token's text.
        identity: whom it speaks for, where, and for which site.
        created_at: RFC 3339 UTC.
        expires_at: RFC 3339 UTC; empty = never.
    """

    sha256: str
    identity: Identity
    created_at: str
    expires_at: str = ""

    @property
    def id(self) -> str:
        """Short name in lists; tells nothing of the token."""
        return self.sha256[:16]


class Projects(Protocol):
    """Projects, their revisions and members."""

    async def add(self, project: Project, owner: str, *, by_admin: bool = False) -> None:
        """Store a new project with its owner and announce it, and whether an administrator made it.

        Raises ProjectExists if the name is taken.
        """
        ...

    async def revise(self, project: Project, expected_revision: int, *, by_admin: bool = False) -> None:
        """Store a new revision and announce it, as `add` does; RevisionChanged if the present one is another."""
        ...

    async def find(self, id: str, subject: str) -> tuple[Project, Member | None] | None:
        """A project and what somebody is in it; None if there is no such project."""
        ...


class Members(Protocol):
    """Who belongs to a project."""

    async def put_member(self, project: str, member: Member) -> None:
        """Add a member or change the roles; LastOwner if no owner would be left."""
        ...

    async def remove_member(self, project: str, subject: str) -> None:
        """Take a member out; MemberUnknown, or LastOwner if no owner would be left."""
        ...


class Tokens(Protocol):
    """Bearer tokens, kept as hashes."""

    async def find(self, token_sha256: str) -> Token | None:
        """The token with this hash, or None."""
        ...

    async def add(self, token: Token) -> None:
        """Store a new token's hash."""
        ...


class Configurations(Protocol):
    """Configuration documents as objects."""

    async def put(self, project: str, document: bytes) -> ObjectRef:
        """Store canonical JSON."""
        ...

"""What the gateway's verbs need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from irp_kernel import ObjectRef

from irp_gateway.domain.roles import Identity, Member


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project at its present revision."""

    id: str
    title: str
    revision: int
    configuration: ObjectRef
    created_at: str


class Projects(Protocol):
    """Projects, their revisions and members."""

    async def add(self, project: Project, owner: str) -> None:
        """Store a new project with its owner and announce it; ProjectExists if the name is taken."""
        ...

    async def revise(self, project: Project, expected_revision: int) -> None:
        """Store a new revision and announce it; RevisionChanged if the present one is another."""
        ...

    async def get(self, id: str) -> Project | None:
        """A project, or None."""
        ...

    async def of(self, identity: Identity) -> list[Project]:
        """The projects that an identity may see, by name."""
        ...

    async def member(self, project: str, subject: str) -> Member | None:
        """Membership, or None."""
        ...

    async def put_member(self, project: str, member: Member) -> None:
        """Add a member or change the roles."""
        ...

    async def members(self, project: str) -> list[Member]:
        """Everybody in a project."""
        ...


class Tokens(Protocol):
    """Bearer tokens, kept as hashes."""

    async def find(self, token_sha256: str) -> Identity | None:
        """Whose token it is, or None."""
        ...

    async def add(self, token_sha256: str, identity: Identity) -> None:
        """Store a new token's hash."""
        ...


class Configurations(Protocol):
    """Configuration documents as objects."""

    async def put(self, project: str, document: bytes) -> ObjectRef:
        """Store canonical JSON."""
        ...

    async def get(self, ref: ObjectRef) -> bytes:
        """Read it back."""
        ...

"""Who may do what in a project."""

from __future__ import annotations

from dataclasses import dataclass

ADMIN = "admin"
ROLES = ("owner", "annotator", "uploader", "viewer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A person or service behind a bearer token.

    Attributes:
        subject: stable name, for audit and provenance.
        admin: may see and do everything.
    """

    subject: str
    admin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An identity in one project."""

    subject: str
    roles: frozenset[str]

    def may(self, *roles: str) -> bool:
        """True if one of the roles is held; owners and admins may do everything in the project."""
        return bool(self.roles & {*roles, "owner", ADMIN})

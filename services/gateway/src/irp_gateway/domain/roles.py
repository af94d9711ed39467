"""Who may do what in a project."""

from __future__ import annotations

from dataclasses import dataclass

ADMIN = "admin"
ROLES = ("owner", "curator", "annotator", "uploader", "viewer")
SUBJECT = r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$"
"""What a subject or a site looks like: it stands in paths, tokens and provenance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A person or service behind a bearer token.

    Attributes:
        subject: stable name, for audit and provenance.
        admin: may see and do everything.
        project: the only project that the token opens; empty = every one the subject is a member of.
        site: whose patients the token uploads; empty = the subject's own.
    """

    subject: str
    admin: bool = False
    project: str = ""
    site: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An identity in one project."""

    subject: str
    roles: frozenset[str]

    def may(self, *roles: str) -> bool:
        """True if one of the roles is held; owners and admins may do everything in the project."""
        return bool(self.roles & {*roles, "owner", ADMIN})

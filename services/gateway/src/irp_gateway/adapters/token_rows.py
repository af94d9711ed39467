"""Hashes of bearer tokens in SQL."""

from __future__ import annotations

from typing import Any

from irp_chassis.db import Database
from sqlalchemy import bindparam, select

from irp_gateway.adapters.db import TOKEN
from irp_gateway.app.ports import Token
from irp_gateway.domain.errors import TokenUnknown
from irp_gateway.domain.roles import Identity

BY_DIGEST = select(TOKEN).where(TOKEN.c.sha256 == bindparam("sha256"))  # made once: every request asks it


class TokenRows:
    """See Tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, token_sha256: str) -> Token | None:
        """See Tokens.find."""
        async with self._database.read() as connection:
            row = (await connection.execute(BY_DIGEST, {"sha256": token_sha256})).first()
        return _token(row) if row else None

    async def add(self, token: Token) -> None:
        """See Tokens.add."""
        identity = token.identity
        row = {
            "sha256": token.sha256,
            "subject": identity.subject,
            "admin": identity.admin,
            "project": identity.project,
            "site": identity.site,
            "created_at": token.created_at,
            "expires_at": token.expires_at,
        }
        async with self._database.transaction() as tx:
            await tx.insert_once(TOKEN, row, keys=("sha256",))

    async def of(self, project: str | None, *, after: str, limit: int) -> list[Token]:
        """Tokens by id; those that open one project, or (None) every one."""
        query = select(TOKEN).where(TOKEN.c.sha256 > after).order_by(TOKEN.c.sha256).limit(limit)
        if project is not None:
            query = query.where(TOKEN.c.project == project)
        async with self._database.read() as connection:
            return [_token(row) for row in (await connection.execute(query)).all()]

    async def revoke(self, id: str, project: str | None) -> None:
        """Forget a token; TokenUnknown if there is none (of this project)."""
        query = TOKEN.delete().where(TOKEN.c.sha256.startswith(id, autoescape=True))
        if project is not None:
            query = query.where(TOKEN.c.project == project)
        async with self._database.transaction() as tx:
            if (await tx.execute(query)).rowcount == 0:
                raise TokenUnknown


def _token(row: Any) -> Token:
    identity = Identity(subject=row.subject, admin=row.admin, project=row.project, site=row.site)
    return Token(sha256=row.sha256, identity=identity, created_at=row.created_at, expires_at=row.expires_at)

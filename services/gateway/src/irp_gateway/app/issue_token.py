"""A new bearer token: shown once, kept as a hash."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from irp_kernel import sha256_of

from irp_gateway.app.ports import Token, Tokens
from irp_gateway.domain.roles import Identity


class IssueToken:
    """Make a token for a subject."""

    def __init__(self, tokens: Tokens, secret: Callable[[], str], now: Callable[[], datetime]) -> None:
        self._tokens, self._secret, self._now = tokens, secret, now

    async def __call__(self, identity: Identity, lifetime: timedelta | None = None) -> tuple[str, Token]:
        """(the token's text, what is kept of it); without a lifetime it lives until it is revoked."""
        text, at = f"irp_{self._secret()}", self._now()
        token = Token(
            sha256=sha256_of(text.encode()),
            identity=identity,
            created_at=at.isoformat(),
            expires_at=(at + lifetime).isoformat() if lifetime else "",
        )
        await self._tokens.add(token)
        return text, token

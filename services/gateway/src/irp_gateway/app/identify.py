"""Who is asking: bearer token -> identity; closed by default."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import datetime

from irp_kernel import sha256_of
from irp_kernel.errors import Unauthenticated

from irp_gateway.app.ports import Tokens
from irp_gateway.domain.roles import Identity


class Identify:
    """Bearer token -> identity."""

    def __init__(self, tokens: Tokens, bootstrap_sha256: str, now: Callable[[], datetime]) -> None:
        self._tokens, self._bootstrap, self._now = tokens, bootstrap_sha256.lower(), now

    async def __call__(self, authorization: str) -> Identity:
        """The identity behind an Authorization header.

        Raises:
            Unauthenticated: no token, not one of ours, or one that has expired.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("the request carries no bearer token")
        digest = sha256_of(token.strip().encode())
        if self._bootstrap and hmac.compare_digest(digest, self._bootstrap):
            return Identity(subject="bootstrap-admin", admin=True)
        found = await self._tokens.find(digest)
        if found is None:
            raise Unauthenticated("the bearer token is not known here")
        if found.expires_at and self._now() >= datetime.fromisoformat(found.expires_at):
            raise Unauthenticated("the bearer token has expired")
        return found.identity

"""The bearer token of a WebSocket: browsers cannot set its headers, and a URL ends in logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SUBPROTOCOL = "irp"
_TOKEN = "bearer."  # noqa: S105  how the subprotocol that carries a token begins


def authorization_of(headers: Mapping[str, str], subprotocols: Sequence[str]) -> tuple[str, bool]:
    """(the Authorization header, or what it would be; whether the client speaks our subprotocol).

    `Sec-WebSocket-Protocol: irp, bearer.<token>` stands for `Authorization: Bearer <token>`. The answer names `irp`
    only, so that the token is said once. Source: RFC 6455 section 1.9.
    """
    ours = SUBPROTOCOL in subprotocols
    said = headers.get("authorization", "")
    token = next((name.removeprefix(_TOKEN) for name in subprotocols if name.startswith(_TOKEN)), "")
    if not said and ours and token:
        return f"Bearer {token}", True
    return said, ours

"""A request's body as it comes, within a limit: a length that is said spares the reading, chunks are counted."""

from __future__ import annotations

from collections.abc import AsyncIterator

from irp_kernel.errors import TooLarge
from starlette.requests import Request


async def bounded(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body's pieces as they come, no further than the limit.

    Raises:
        TooLarge: there is more.
    """
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() else 0
    if size > limit:
        raise TooLarge(f"at most {limit} bytes", limit_bytes=limit)
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise TooLarge(f"at most {limit} bytes", limit_bytes=limit)
        if piece:
            yield piece


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body.

    Raises:
        TooLarge: it is larger than the limit.
    """
    return b"".join([piece async for piece in bounded(request, limit)])

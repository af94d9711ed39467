"""Bodies that stream through to ingest: nothing rests here, not even in a temporary file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Header, Request
from irp_kernel.errors import Code, IrpError
from starlette.requests import ClientDisconnect

from irp_gateway.adapters.bodies import drain
from irp_gateway.adapters.visitor import Inside
from irp_gateway.domain.errors import ClientLeft, UploadNotFinished

TIMEOUT_S = 3600.0
# A client that cuts its body into chunks has used it up when we answer; "try again" would make it send nothing.
AGAIN = {Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.DEADLINE_EXCEEDED}

Site = Annotated[str, Header(description="whose patients these are; only for owners, else the token says it")]


async def send_through(request: Request, here: Inside, method: str, upload: Any, rest: AsyncIterator[Any]) -> Any:
    """Ingest's answer to the first message and the rest, which is made of the request's body.

    Raises:
        UploadNotFinished: ingest could not take it now, and the client cannot repeat it by itself.
        IrpError: ingest refused, or the body is not what it should be; it is read to its end all the same.
    """
    try:
        return await here.ask("ingest", method, _begun(upload, rest), timeout_s=TIMEOUT_S)
    except IrpError as error:
        await drain(request)
        if error.code in AGAIN and "content-length" not in request.headers:
            raise UploadNotFinished(error.message) from None
        raise


async def chunks(request: Request) -> AsyncIterator[bytes]:
    """The body's pieces as they come.

    Raises:
        ClientLeft: before its end.
    """
    try:
        async for chunk in request.stream():
            if chunk:
                yield chunk
    except ClientDisconnect:
        raise ClientLeft from None


async def _begun(upload: Any, rest: AsyncIterator[Any]) -> AsyncIterator[Any]:
    yield upload
    async for message in rest:
        yield message

"""What you learn here: lines of a request end somewhere, or the connection does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import uvicorn
from irp_chassis.http_lines import MAX_LINES_BYTES, BoundedHttp
from irp_chassis.testing.parts import free_port
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

ENDLESS = MAX_LINES_BYTES * 20


async def count(request: Request) -> PlainTextResponse:
    """Bytes of the body."""
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture
async def port() -> AsyncIterator[int]:
    app, port = Starlette(routes=[Route("/", count, methods=["POST"])]), free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, http=BoundedHttp, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield port
    server.should_exit = True
    await serving


async def told(port: int, *pieces: bytes) -> bytes:
    """What the server says to these bytes, until it hangs up or has said all."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


async def test_a_large_body_is_no_line(port: int) -> None:
    body = bytes(ENDLESS)
    said = await told(port, HEAD + b"Content-Length: %d\r\n\r\n" % len(body), body)
    assert said.startswith(b"HTTP/1.1 200")
    assert said.endswith(str(ENDLESS).encode())


async def test_requests_on_one_connection_are_counted_apart(port: int) -> None:
    one = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nX: " + b"x" * (MAX_LINES_BYTES // 2) + b"\r\n\r\nab"
    said = await told(port, one, one, one, HEAD + b"Content-Length: 0\r\n\r\n")
    assert said.count(b"HTTP/1.1 200") == 4


@pytest.mark.parametrize("begin", [b"POST /", HEAD + b"X: ", HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: "])
async def test_a_line_without_end_ends_the_connection(port: int, begin: bytes) -> None:
    said = await told(port, begin, *[b"x" * 4096] * (ENDLESS // 4096))
    assert b"200 OK" not in said


async def test_headers_without_end_end_the_connection(port: int) -> None:
    said = await told(port, HEAD, *[b"X: y\r\n" * 1000] * (ENDLESS // 6000))
    assert b"200 OK" not in said

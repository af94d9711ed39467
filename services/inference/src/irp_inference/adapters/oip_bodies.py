"""Bodies of the REST door: read to a limit, unpacked to the same limit, split into JSON and binary tensors."""

from __future__ import annotations

import json
import zlib
from typing import Any

from irp_kernel.errors import InvalidArgument, TooLarge, UnsupportedMediaType
from starlette.requests import Request

HEADER_LENGTH = "inference-header-content-length"
JSON_BYTES = 64 << 20
"""Largest JSON: it takes many times its size in memory; the binary extension is for larger tensors."""
WINDOWS = {"gzip": 31, "deflate": 15}  # zlib's wbits


async def read_body(request: Request, limit: int) -> bytes:
    """The body as it was sent.

    Raises:
        TooLarge: more than `limit` bytes.
    """
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise TooLarge(f"the body may have {limit} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo Content-Encoding; never more than `limit` bytes come out.

    Raises:
        UnsupportedMediaType: neither gzip nor deflate.
        TooLarge: it would unpack to more.
        InvalidArgument: it is damaged.
    """
    if encoding in {"", "identity"}:
        return body
    if encoding not in WINDOWS:
        raise UnsupportedMediaType("Content-Encoding is gzip or deflate")
    packed = zlib.decompressobj(wbits=WINDOWS[encoding])
    try:
        plain = packed.decompress(body, limit + 1)
    except zlib.error:
        raise InvalidArgument(f"the body is not {encoding}") from None
    if len(plain) > limit:
        raise TooLarge(f"the body may unpack to {limit} bytes")
    if not packed.eof or packed.unused_data:
        raise InvalidArgument(f"the body is not one whole {encoding} stream")
    return plain


def split(body: bytes, header_length: str | None) -> tuple[dict[str, Any], memoryview]:
    """(the JSON, the tensors' bytes behind it).

    Raises:
        InvalidArgument: no JSON object there.
        TooLarge: JSON of more than JSON_BYTES.
    """
    length = len(body)
    if header_length is not None:
        if not header_length.isdecimal() or len(header_length) > 12 or int(header_length) > length:
            raise InvalidArgument("Inference-Header-Content-Length is not the length of the JSON")
        length = int(header_length)
    return read_json(body[:length]), memoryview(body)[length:]


def read_json(text: bytes) -> dict[str, Any]:
    """A JSON object; raises as `split`."""
    if len(text) > JSON_BYTES:
        raise TooLarge(f"JSON may have {JSON_BYTES} bytes: send large tensors with the binary extension")
    try:
        found = json.loads(text or b"{}")
    except (ValueError, RecursionError):
        raise InvalidArgument("the body is not JSON") from None
    if not isinstance(found, dict):
        raise InvalidArgument("the body is a JSON object")
    return found

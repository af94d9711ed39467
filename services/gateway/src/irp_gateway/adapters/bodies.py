"""Bodies that are read in memory, within a limit: nothing that somebody sends ever rests in a temporary file."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from fastapi import Request
from irp_chassis.bounded_body import bounded
from irp_kernel.errors import TooLarge, UnsupportedMediaType
from starlette.requests import ClientDisconnect

from irp_gateway.domain.errors import BodyNotReadable
from irp_gateway.domain.multipart import PartBegins, PartData, PartEnds, Splitter, boundary_of, parameters_of

MAX_FIELD_BYTES = 1 << 20  # of a form's field that is not its file
DRAIN_BYTES, DRAIN_S = 256 << 20, 10.0  # of a refused body, read and thrown away


@dataclass(frozen=True, slots=True)
class Field:
    """One part of a form."""

    data: bytes
    media_type: str = ""
    file_name: str = ""

    @property
    def text(self) -> str:
        """The part as text.

        Raises:
            BodyNotReadable: it is not UTF-8.
        """
        try:
            text = self.data.decode()
        except UnicodeDecodeError:
            raise BodyNotReadable("a field of the form is not UTF-8") from None
        if "\0" in text:
            raise BodyNotReadable("a field of the form has no NUL")
        return text


async def drain(request: Request) -> None:
    """Read on and throw away: most clients look at the answer only when they have sent everything."""
    size = 0
    with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(DRAIN_S):
            async for piece in request.stream():
                size += len(piece)
                if size > DRAIN_BYTES:
                    return


async def read_form(request: Request, *, file: str, limit: int) -> dict[str, Field]:
    """The fields of a multipart/form-data body, the last one of each name.

    Args:
        request: whose body is not read yet.
        file: name of the field that may be as large as the limit; the others have MAX_FIELD_BYTES.
        limit: bytes of the whole body.

    Raises:
        UnsupportedMediaType: not a form.
        MultipartBroken: not well-formed.
        TooLarge: the body or a field is larger than its limit.
    """
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise UnsupportedMediaType(f"send multipart/form-data with the field `{file}`")
    splitter, fields = Splitter(boundary_of(content_type)), {}
    name, media_type, file_name, pieces, size = "", "", "", [b""], 0
    async for chunk in bounded(request, limit):
        for event in splitter.feed(chunk):
            match event:
                case PartBegins(headers):
                    disposition = parameters_of(headers.get("content-disposition", ""))
                    name, file_name = disposition.get("name", ""), disposition.get("filename", "")
                    media_type, pieces, size = headers.get("content-type", ""), [], 0
                case PartData(data):
                    size += len(data)
                    if name != file and size > MAX_FIELD_BYTES:
                        raise TooLarge(f"the field has at most {MAX_FIELD_BYTES} bytes", limit_bytes=MAX_FIELD_BYTES)
                    pieces.append(data)
                case PartEnds():
                    fields[name] = Field(b"".join(pieces), media_type.split(";")[0].strip().lower(), file_name)
    splitter.finish()
    return fields

"""multipart/related in constant memory: bytes come in as the network cuts them, pieces of parts go out.

Tolerates what clients do: a CRLF before the first boundary, none after the last, any order of part headers.
Source: RFC 2046 section 5.1; PS3.18 section 8.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from irp_gateway.domain.errors import MultipartBroken

MAX_HEADER_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A part begins; its headers, names in lower case."""

    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """Bytes of the present part."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnds:
    """The present part is complete."""


Event = PartBegins | PartData | PartEnds


def boundary_of(content_type: str) -> bytes:
    """The boundary that a Content-Type names.

    Raises:
        MultipartBroken: it is not multipart, or names none.
    """
    match = re.search(r'boundary="?([^";,\s]{1,70})"?', content_type, re.IGNORECASE)
    if not content_type.lower().startswith("multipart/") or match is None:
        raise MultipartBroken("the Content-Type is not multipart with a boundary")
    return match[1].encode("latin-1")


class Splitter:
    """Push parser: `feed` bytes, get events; `finish` raises if the body ended too early."""

    def __init__(self, boundary: bytes) -> None:
        self._mark = b"\r\n--" + boundary
        self._buffer = b"\r\n"  # so that a boundary at the very beginning is found too
        self._state = "preamble"

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take bytes, yield what they complete."""
        self._buffer += data
        while self._state != "end":
            step = {"preamble": self._skip, "after": self._after, "headers": self._headers, "data": self._data}
            events = step[self._state]()
            if events is None:
                return
            yield from events

    def finish(self) -> None:
        """Raise unless the closing boundary was seen."""
        if self._state != "end":
            raise MultipartBroken("the body ended before its closing boundary")

    def _skip(self) -> list[Event] | None:
        at = self._buffer.find(self._mark)
        if at < 0:
            self._buffer = self._buffer[-len(self._mark) :]
            return None
        self._buffer = self._buffer[at + len(self._mark) :]
        self._state = "after"
        return []

    def _after(self) -> list[Event] | None:
        if len(self._buffer) < 2:
            return None
        if self._buffer[:2] == b"--":
            self._state = "end"
            return []
        line = self._buffer.find(b"\r\n")
        if line < 0:
            if len(self._buffer) > 256:
                raise MultipartBroken("a boundary line does not end")
            return None
        self._buffer = self._buffer[line:]  # keeps the CRLF: a part without headers has an empty line next
        self._state = "headers"
        return []

    def _headers(self) -> list[Event] | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEADER_BYTES:
                raise MultipartBroken("the headers of a part are too long")
            return None
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        pairs = (line.split(":", 1) for line in lines if ":" in line)
        self._buffer = self._buffer[end + 4 :]
        self._buffer = b"" + self._buffer
        self._state = "data"
        return [PartBegins({name.strip().lower(): value.strip() for name, value in pairs})]

    def _data(self) -> list[Event] | None:
        at = self._buffer.find(self._mark)
        if at >= 0:
            piece, self._buffer = self._buffer[:at], self._buffer[at + len(self._mark) :]
            self._state = "after"
            return [PartData(piece), PartEnds()] if piece else [PartEnds()]
        keep = len(self._mark)
        if len(self._buffer) <= keep:
            return None
        piece, self._buffer = self._buffer[:-keep], self._buffer[-keep:]
        return [PartData(piece), *([])] if piece else None

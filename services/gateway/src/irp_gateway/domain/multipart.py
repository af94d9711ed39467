"""multipart bodies in constant memory: bytes come in as the network cuts them, pieces of parts go out.

Tolerates what clients do: a CRLF before the first boundary, none after the last, blanks after a boundary, an epilogue.
Source: RFC 2046 section 5.1; PS3.18 section 8.6; RFC 7578 for forms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from irp_gateway.domain.errors import MultipartBroken

MAX_HEADER_BYTES = 16_384  # of one part
MAX_BLANKS = 256  # bytes after a boundary on its line

_PARAMETER = re.compile(r';\s*([A-Za-z0-9_*.-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^";\s]*)')


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


def parameters_of(header: str) -> dict[str, str]:
    """The parameters of a header value, names in lower case: `a/b; type="c"` -> {"type": "c"}."""
    return {name.lower(): _unquoted(value) for name, value in _PARAMETER.findall(header)}


def boundary_of(content_type: str) -> bytes:
    """The boundary that a Content-Type names.

    Raises:
        MultipartBroken: it is not multipart, or names none.
    """
    boundary = parameters_of(content_type).get("boundary", "")
    if not content_type.lower().lstrip().startswith("multipart/") or not 1 <= len(boundary) <= 70:
        raise MultipartBroken("the Content-Type is not multipart with a boundary")
    return boundary.encode("latin-1", "replace")


class Splitter:
    """Push parser: `feed` bytes, get events; `finish` raises if the body ended too early."""

    def __init__(self, boundary: bytes) -> None:
        self._mark = b"\r\n--" + boundary
        self._buffer = b"\r\n"  # so that a boundary at the very beginning is found too
        self._state = "preamble"

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take bytes, yield what they complete.

        Raises:
            MultipartBroken: this is no multipart body.
        """
        steps = {"preamble": self._skip, "boundary": self._boundary, "headers": self._headers, "data": self._data}
        if self._state == "epilogue":
            return
        self._buffer += data
        while self._state != "epilogue":
            events = steps[self._state]()
            if events is None:
                return
            yield from events

    def finish(self) -> None:
        """Raise MultipartBroken unless the closing boundary was seen."""
        if self._state != "epilogue":
            raise MultipartBroken("the body ended before its closing boundary")

    # Each step: events and the next state, or None when more bytes are needed.

    def _skip(self) -> list[Event] | None:
        at = self._buffer.find(self._mark)
        if at < 0:
            self._buffer = self._buffer[-len(self._mark) :]
            return None
        self._take(at + len(self._mark), "boundary")
        return []

    def _boundary(self) -> list[Event] | None:
        if len(self._buffer) < 2:
            return None
        if self._buffer.startswith(b"--"):
            self._take(len(self._buffer), "epilogue")
            return []
        line = self._buffer.find(b"\r\n")
        blanks = self._buffer[:line] if line >= 0 else self._buffer.removesuffix(b"\r")
        if len(blanks) > MAX_BLANKS or blanks.strip(b" \t"):
            raise MultipartBroken("a boundary is followed by something else than the end of its line")
        if line < 0:
            return None
        self._take(line, "headers")  # keeps the CRLF: a part without headers has an empty line next
        return []

    def _headers(self) -> list[Event] | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end > MAX_HEADER_BYTES or (end < 0 and len(self._buffer) > MAX_HEADER_BYTES):
            raise MultipartBroken("the headers of a part are too long")
        if end < 0:
            return None
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        pairs = (line.split(":", 1) for line in lines if ":" in line)
        self._take(end + 4, "data")
        return [PartBegins({name.strip().lower(): value.strip() for name, value in pairs})]

    def _data(self) -> list[Event] | None:
        at = self._buffer.find(self._mark)
        if at >= 0:
            piece = self._take(at, "boundary")
            self._take(len(self._mark), "boundary")
            return [PartData(piece), PartEnds()] if piece else [PartEnds()]
        ready = len(self._buffer) - len(self._mark)
        return [PartData(self._take(ready, "data"))] if ready > 0 else None

    def _take(self, size: int, state: str) -> bytes:
        taken, self._buffer, self._state = self._buffer[:size], self._buffer[size:], state
        return taken


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value

"""Which bytes of a file a client wants. Source: RFC 9110 sections 13.1.2 and 14."""

from __future__ import annotations

import re

from irp_gateway.domain.errors import RangeNotSatisfiable

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def wanted_range(header: str, size: int) -> tuple[int, int] | None:
    """(start, length) of one range; None for the whole: no range, several, or another unit.

    Raises:
        RangeNotSatisfiable: it begins behind the end.
    """
    match = _RANGE.fullmatch(header.replace(" ", ""))
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1 if last else size, size)
        if last and int(last) < start:
            return None
    if start >= size or end <= start:
        raise RangeNotSatisfiable(f"the file has {size} bytes")
    return start, end - start


def is_known(if_none_match: str, etag: str) -> bool:
    """True if the client has this version already."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return bool(tags & {etag, "*"})

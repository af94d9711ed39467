"""Which of the media types that can be given does the client want. Source: RFC 9110 section 12.5.1."""

from __future__ import annotations

import re
from collections.abc import Sequence

from irp_kernel.errors import NotAcceptable

_PART = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')  # a comma inside quotes does not separate


def choose(accept: str, offered: Sequence[str]) -> str:
    """The best offered media type; the first one when the client has no wish.

    A wish that names the type exactly goes before `type/*`, and that before `*/*`, as the RFC says.

    Raises:
        NotAcceptable: none of them is wanted.
    """
    wishes = [_wish(part) for part in _PART.findall(accept) if part.strip()] or [("*/*", 1.0)]
    best, best_quality = "", 0.0
    for media_type in offered:
        quality = _quality(wishes, media_type)
        if quality > best_quality:
            best, best_quality = media_type, quality
    if not best:
        raise NotAcceptable(f"offered are {', '.join(offered)}")
    return best


def media_ranges(accept: str) -> list[str]:
    """The alternatives of an Accept header with their parameters, best first; refused ones (q=0) are left out."""
    parts = [part.strip() for part in _PART.findall(accept) if part.strip()]
    qualities = {part: _wish(part)[1] for part in parts}
    return sorted((part for part in parts if qualities[part] > 0), key=lambda part: -qualities[part])


def _quality(wishes: Sequence[tuple[str, float]], media_type: str) -> float:
    for pattern in (media_type, media_type.split("/")[0] + "/*", "*/*"):
        found = [quality for wish, quality in wishes if wish == pattern]
        if found:
            return max(found)
    return 0.0


def _wish(part: str) -> tuple[str, float]:
    pattern, *parameters = (piece.strip() for piece in part.split(";"))
    quality = next((p[2:] for p in parameters if p.lower().startswith("q=")), "1")
    try:
        return pattern.lower(), min(1.0, max(0.0, float(quality)))
    except ValueError:
        return pattern.lower(), 0.0

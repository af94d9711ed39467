"""Which of the media types that can be given does the client want. Source: RFC 9110 section 12.5.1."""

from __future__ import annotations

from collections.abc import Sequence

from irp_kernel.errors import NotAcceptable


def choose(accept: str, offered: Sequence[str]) -> str:
    """The best offered media type; the first one when the client has no wish.

    Raises:
        NotAcceptable: none of them is wanted.
    """
    wishes = [_wish(part) for part in accept.split(",") if part.strip()] or [("*/*", 1.0)]
    best, best_quality = "", 0.0
    for media_type in offered:
        quality = max((q for pattern, q in wishes if _matches(pattern, media_type)), default=0.0)
        if quality > best_quality:
            best, best_quality = media_type, quality
    if not best:
        raise NotAcceptable(f"offered are {', '.join(offered)}")
    return best


def _wish(part: str) -> tuple[str, float]:
    pattern, *parameters = (piece.strip() for piece in part.split(";"))
    quality = next((p[2:] for p in parameters if p.lower().startswith("q=")), "1")
    try:
        return pattern.lower(), float(quality)
    except ValueError:
        return pattern.lower(), 0.0


def _matches(pattern: str, media_type: str) -> bool:
    return pattern in {"*/*", media_type, media_type.split("/")[0] + "/*"}

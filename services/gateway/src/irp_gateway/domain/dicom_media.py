"""Which form of an image a DICOMweb client wants. Source: PS3.18 sections 8.7.3 and 8.7.4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from irp_kernel.errors import NotAcceptable

from irp_gateway.domain.errors import QueryNotValid
from irp_gateway.domain.multipart import parameters_of
from irp_gateway.domain.negotiation import choose, media_ranges

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
OCTETS, ANY = "application/octet-stream", "*/*"
# Source: PS3.18 table 8.7.4-1.
PICTURES = ("image/jpeg", "image/png", "image/gif")
# Transfer syntax (beginning of its UID) -> media type of its frames. Source: PS3.18 table 8.7.3-2.
FRAME_MEDIA = {
    "1.2.840.10008.1.2.4.5": "image/jpeg",
    "1.2.840.10008.1.2.4.7": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.92": "image/jpx",
    "1.2.840.10008.1.2.4.93": "image/jpx",
    "1.2.840.10008.1.2.4.20": "image/jphc",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}
DECODED = frozenset({"1.2.840.10008.1.2", EXPLICIT_LITTLE, "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"})


@dataclass(frozen=True, slots=True)
class Wish:
    """One alternative of an Accept header.

    Attributes:
        kind: media type of the object, or of each part of a multipart answer.
        syntax: transfer syntax, "*" for the stored one, "" where none was named.
        multipart: parts of an answer, or one body.
    """

    kind: str
    syntax: str
    multipart: bool


def wishes_of(accept: str) -> list[Wish]:
    """The alternatives of an Accept header, best first."""
    found = []
    for text in media_ranges(accept):
        media_type, parameters = text.split(";")[0].strip().lower(), parameters_of(text)
        several = media_type == "multipart/related"
        kind = parameters.get("type", ANY).lower() if several else media_type
        found.append(Wish(kind, parameters.get("transfer-syntax", ""), several))
    return found or [Wish(ANY, "", multipart=True)]


def file_syntax(wishes: Sequence[Wish], stored: str) -> str:
    """Transfer syntax in which an instance is handed out: the stored one, or Explicit VR Little Endian.

    Raises:
        NotAcceptable: another one is wanted.
    """
    wanted = {wish.syntax or EXPLICIT_LITTLE for wish in wishes if wish.kind in {"application/dicom", ANY}}
    if wanted & {"*", stored}:
        return stored
    if EXPLICIT_LITTLE in wanted:
        return EXPLICIT_LITTLE
    raise NotAcceptable(f"offered are the transfer syntaxes {stored} (as stored) and {EXPLICIT_LITTLE}")


def frame_form(wishes: Sequence[Wish], stored: str) -> tuple[str, bool]:
    """(media type, decoded) of frames: as stored where that is wanted, else decoded.

    Raises:
        NotAcceptable: neither is wanted.
    """
    media_type = OCTETS if stored in DECODED else frame_media(stored)
    for wish in wishes:
        if stored not in DECODED and wish.kind in {media_type, OCTETS, ANY}:
            named = wish.kind == media_type and wish.syntax == ""
            if named or wish.syntax in {"*", stored}:
                return media_type, False
        if wish.kind in {OCTETS, ANY} and wish.syntax in {"", "*", EXPLICIT_LITTLE}:
            return OCTETS, True
    raise NotAcceptable(f"offered are {media_type} with transfer-syntax={stored}, and {OCTETS}")


def picture_form(accept: str, *, several: bool) -> tuple[str, bool]:
    """(media type, multipart) of pictures: what the best wish says; `several` decides where a wish takes anything.

    The standard says of a rendered response only that it has an acceptable media type (PS3.18 section 10.4.3): one
    picture if a media type of pictures is wanted, every picture as parts if multipart/related is.

    Raises:
        NotAcceptable: neither is wanted in a form that there is.
    """
    for wish in wishes_of(accept or ANY):
        kinds = [kind for kind in PICTURES if wish.kind in {kind, "image/*", ANY}]
        if kinds and (wish.multipart or (several and wish.kind == ANY)):
            return kinds[0], True
        if kinds:
            return choose(accept or ANY, PICTURES), False
    raise NotAcceptable(f"offered are {', '.join(PICTURES)}, and multipart/related of these")


def frame_media(syntax: str) -> str:
    """Media type of frames in a compressed transfer syntax."""
    known = (kind for begin, kind in FRAME_MEDIA.items() if syntax.startswith(begin))
    return next(known, OCTETS)


def frame_numbers(listed: str) -> list[int]:
    """`1,3,4` -> numbers, counted from 1.

    Raises:
        QueryNotValid: it is no list of numbers.
    """
    return _whole(listed, "frames are numbers from 1 on, separated by commas")


def viewport_of(text: str) -> list[int]:
    """`width,height[,x,y,width,height]`; empty numbers are 0. Source: PS3.18 section 8.3.5.1.3.

    Raises:
        QueryNotValid: it has another form.
    """
    words = text.split(",") if text else []
    if len(words) not in {0, 2, 6}:
        raise QueryNotValid("viewport is width,height or width,height,x,y,width,height")
    return _whole(",".join(word or "0" for word in words), "viewport has whole numbers") if words else []


def window_of(text: str) -> tuple[float, float, str] | None:
    """`center,width[,function]`. Source: PS3.18 section 8.3.5.1.4.

    Raises:
        QueryNotValid: it has another form.
    """
    if not text:
        return None
    try:
        center, width, function = [*text.split(","), "linear"][:3]
        return float(center), float(width), function.lower()
    except ValueError:
        raise QueryNotValid("window is center,width,function") from None


def _whole(listed: str, advice: str) -> list[int]:
    words = listed.split(",")
    if not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
        raise QueryNotValid(advice)
    return [int(word) for word in words]

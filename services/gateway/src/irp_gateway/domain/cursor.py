"""Cursors: where the next page of a list begins, as a word that clients hand back unread."""

from __future__ import annotations

import base64
import binascii

from irp_kernel.errors import CursorNotValid

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000  # items of a page


def to_cursor(position: str) -> str:
    """A position -> cursor."""
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def from_cursor(cursor: str) -> str:
    """A cursor -> position; an empty one is the beginning.

    Raises:
        CursorNotValid: it is not one of ours.
    """
    try:
        position = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise CursorNotValid from None
    if "\0" in position:
        raise CursorNotValid
    return position


def number_of(cursor: str) -> int:
    """A cursor of a list that is paged by number -> that number; 0 = the beginning.

    Raises:
        CursorNotValid: it is not one of ours.
    """
    position = from_cursor(cursor) or "0"
    if not position.isdecimal() or len(position) > 18:
        raise CursorNotValid
    return int(position)

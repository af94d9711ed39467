"""Dates and times: shifted by whole days where valid, emptied where not. Source: PS3.5 Table 6.2-1 (DA, TM, DT)."""

from __future__ import annotations

import re
from datetime import date, timedelta

_DA = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_TM = re.compile(r"([01]\d|2[0-3])(:?[0-5]\d(:?([0-5]\d|60)(\.\d{1,6})?)?)?")
_DT = re.compile(r"(\d{8})(([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?)?([+-](0\d|1[0-4])[0-5]\d)?")


def shifted_date(text: str, days: int) -> str:
    """A DA value moved by days; empty if it is not a calendar date."""
    match = _DA.fullmatch(text.strip(" \x00"))
    if not match:
        return ""
    try:
        moved = date(*(int(part) for part in match.groups())) + timedelta(days=days)
    except (ValueError, OverflowError):
        return ""
    return f"{moved.year:04d}{moved.month:02d}{moved.day:02d}"


def shifted_datetime(text: str, days: int) -> str:
    """A DT value moved by days; empty if it holds no whole date (a month cannot be moved by days)."""
    match = _DT.fullmatch(text.strip(" \x00"))
    moved = shifted_date(match.group(1), days) if match else ""
    return moved + text.strip(" \x00")[8:] if moved else ""


def valid_time(text: str) -> str:
    """A TM value as it is; empty if it is not a time of day."""
    stripped = text.strip(" \x00")
    return stripped if _TM.fullmatch(stripped) else ""

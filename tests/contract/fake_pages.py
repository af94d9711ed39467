"""Pages as rooms read them, of what a fake has whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def cut(items: Sequence[Any], request: Any) -> tuple[list[Any], str]:
    """The page that a request asks for by `after` and `limit`, and where the next begins."""
    start = int(request.after or 0)
    end = start + request.limit
    return list(items[start:end]), str(end) if end < len(items) else ""

"""Which replica gets a series: the one of highest random weight (Thaler, Ravishankar 1998), alike in every gateway."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def ranked(key: str, names: Iterable[str]) -> list[str]:
    """Names, the one for this key first.

    Whoever joins takes one key of so many as there are names then, and only to itself; whoever leaves gives its own
    keys to all others, and no other key moves.
    """
    return sorted(names, key=lambda name: (_weight(key, name), name), reverse=True)


def _weight(key: str, name: str) -> bytes:
    return hashlib.blake2b(f"{key}\n{name}".encode(), digest_size=8).digest()

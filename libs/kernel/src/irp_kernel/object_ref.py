"""Where immutable bytes lie, and the key that their content gives them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from irp_kernel.errors import InvalidArgument

_PART = re.compile(r"[A-Za-z0-9._@-]{1,128}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """Immutable bytes in object storage.

    Attributes:
        bucket: the writing room's bucket.
        key: `<project>/v1/<entity>/<id>/<kind>/<shard>/<sha256>.<extension>`.
        sha256: lower-case hexadecimal digest of the bytes.
        size: length in bytes.
        media_type: kept here, for the store's own metadata may be lost.
    """

    bucket: str
    key: str
    sha256: str
    size: int
    media_type: str

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256) or self.size < 0:
            raise InvalidArgument("an object reference is not well-formed")


def sha256_of(data: bytes) -> str:
    """Lower-case hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()


def object_key(project: str, entity: str, id: str, kind: str, *, sha256: str, extension: str) -> str:
    """The key that content gets: same content, same key; two hex digits of shard keep listings short.

    Raises:
        InvalidArgument: a part could escape its place in the key.
    """
    _require_parts(kind, extension)
    return f"{object_prefix(project, entity, id)}{kind}/{sha256[:2]}/{sha256}.{extension}"


def object_prefix(project: str, entity: str, id: str) -> str:
    """What the keys of every object of one thing begin with.

    Raises:
        InvalidArgument: a part could escape its place in the key.
    """
    _require_parts(project, entity, id)
    return f"{project}/v1/{entity}/{id}/"


def _require_parts(*parts: str) -> None:
    for part in parts:
        if not _PART.fullmatch(part) or part in {".", ".."}:
            raise InvalidArgument("a part of an object key is not well-formed")

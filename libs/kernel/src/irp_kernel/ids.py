"""Identifiers: validated strings that can stand in keys, subjects and addresses without escaping."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias, get_args

from irp_kernel.errors import InvalidArgument

SLUG, NUMBER, DIGEST = r"[a-z][a-z0-9-]{0,46}[a-z0-9]", r"[1-9][0-9]{0,8}", r"sha256:[0-9a-f]{64}"
_UID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_SLUG, _NUMBER, _DIGEST = map(re.compile, (SLUG, NUMBER, DIGEST))
UID_MAX_LENGTH = 64  # characters, PS3.5 section 9.1


class BadIdentifier(InvalidArgument):
    """An identifier is not well-formed.

    Project and model names are 2 to 48 lower-case letters, digits and hyphens, beginning with a letter; behind the @
    of a model stands a number, champion, previous, candidate, or sha256: and 64 hexadecimal digits; UIDs are digits
    and dots, at most 64 characters, no component with a leading zero.
    """


class Uid(str):
    """A DICOM unique identifier. Source: PS3.5 section 9.1."""

    __slots__ = ()

    def __new__(cls, value: str) -> Uid:
        """Check and keep the text."""
        if len(value) > UID_MAX_LENGTH or not _UID.fullmatch(value):
            raise BadIdentifier(kind="UID", length=len(value))
        return super().__new__(cls, value)


class Slug(str):
    """A project or model name: safe in object keys, subjects, paths and file names."""

    __slots__ = ()

    def __new__(cls, value: str) -> Slug:
        """Check and keep the text."""
        if not _SLUG.fullmatch(value):
            raise BadIdentifier(kind="name", length=len(value))
        return super().__new__(cls, value)


Alias = Literal["candidate", "champion", "previous"]
"""A name for whichever version it fits now: the champion; the one before, which a rollback would bring back; and the
newest version as candidate, unless it is the champion itself."""
ALIASES: tuple[Alias, ...] = get_args(Alias)


class Digest(str):
    """`sha256:` and 64 lower-case hexadecimal digits: a version by its bundle's bytes. Source: OCI image-spec."""

    __slots__ = ()

    def __new__(cls, value: str) -> Digest:
        """Check and keep the text."""
        if not _DIGEST.fullmatch(value):
            raise BadIdentifier(kind="digest", length=len(value))
        return super().__new__(cls, value)

    @property
    def hex(self) -> str:
        """The digits, as `ModelRef.digest` has them."""
        return self.removeprefix("sha256:")


VersionName: TypeAlias = "int | Alias | Digest"
"""What may stand behind the `@` of a model: the number that the registry gave, an alias, or the digest."""


def split_model(text: str) -> tuple[Slug, VersionName | None]:
    """Split `name` or `name@version`; the version is None when not said."""
    name, at, version = text.partition("@")
    return Slug(name), read_version(version) if at else None


def read_version(text: str) -> VersionName:
    """A number, an alias or a digest.

    Raises:
        BadIdentifier: it is none of them.
    """
    for alias in ALIASES:
        if text == alias:
            return alias
    if _NUMBER.fullmatch(text):
        return int(text)
    if text.startswith("sha256:"):
        return Digest(text)
    raise BadIdentifier(kind="model version", length=len(text))


def name_versions(newest: int, champion: int, previous: int) -> dict[Alias, int]:
    """Which version each alias names; an alias that names none is left out.

    Args:
        newest: highest version that is registered; 0 = none.
        champion: version that is the champion; 0 = none.
        previous: version that a rollback would make the champion; 0 = none.
    """
    found: dict[Alias, int] = {
        "candidate": newest if newest != champion else 0,
        "champion": champion,
        "previous": previous,
    }
    return {alias: version for alias, version in found.items() if version}

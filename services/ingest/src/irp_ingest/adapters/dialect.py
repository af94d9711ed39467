"""What SQLite and PostgreSQL write differently: parts of a header, and patterns where case counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import JSON, Column, ColumnElement, func

MAX_PARTS = 90  # PostgreSQL's functions take 100 arguments
Tags: TypeAlias = "tuple[str, ...] | None"  # None = every one


@dataclass(frozen=True, slots=True)
class Dialect:
    """Of one database."""

    is_sqlite: bool

    def parts(self, header: Column[Any], tags: Tags) -> ColumnElement[Any]:
        """Attributes of a DICOM JSON column as a JSON array, null where absent; the column if they are (too) many."""
        if tags is None or len(tags) > MAX_PARTS:
            return header
        if self.is_sqlite:
            paths = [f'$."{tag}"' for tag in tags]
            # one path would give the value and no array
            return func.json_extract(header, *paths, "$.none", type_=JSON)
        return func.json_build_array(*(header[tag] for tag in tags), type_=JSON)

    def like(self, column: Column[Any], pattern: str) -> ColumnElement[bool]:
        """True where the column matches `*` and `?`; case counts. Source: PS3.4 C.2.2.2.4."""
        if self.is_sqlite:
            return column.op("GLOB", is_comparison=True)(pattern.replace("[", "[[]"))
        return column.like(like_pattern(pattern), escape="\\")


def like_pattern(wanted: str) -> str:
    """Wildcards of DICOM -> of SQL's LIKE, escaped by a backslash."""
    for sign in "\\%_":
        wanted = wanted.replace(sign, f"\\{sign}")
    return wanted.replace("*", "%").replace("?", "_")

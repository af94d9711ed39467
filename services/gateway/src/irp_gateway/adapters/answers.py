"""What answers of several doors share: pages, provenance, progress; and messages as the API says them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from pydantic import BaseModel, Field

from irp_gateway.domain.cursor import DEFAULT_LIMIT, MAX_LIMIT, number_of, to_cursor

T = TypeVar("T")

CursorQuery = Annotated[str, Query(description="`next_cursor` of the page before; empty = the first page")]
LimitQuery = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="items of a page")]


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None = Field(None, description="hand it back as `cursor`; null = this was the last page")


class Paging(BaseModel):
    """Which page is wanted."""

    cursor: CursorQuery = ""
    limit: LimitQuery = DEFAULT_LIMIT


class ModelName(BaseModel):
    """One immutable model version."""

    name: str = Field(examples=["cine"])
    version: int
    digest: str = Field(description="SHA-256 of the bundle")


class Provenance(BaseModel):
    """How a result came to be."""

    actor: str
    at: str
    software: str
    model: ModelName | None = None
    inputs: dict[str, str] = Field({}, description="SHA-256 of everything that went in, by role")
    parameters: dict[str, str] = {}


class Progress(BaseModel):
    """Progress of long work."""

    fraction: float = Field(description="0 to 1")
    eta_s: float | None = Field(None, description="seconds to the end; null = unknown")
    step: str


def page(items: Sequence[T], cursor: str, limit: int) -> Page[T]:
    """A page of a whole list that only grows at its end.

    Raises:
        CursorNotValid: the cursor is not one of ours.
    """
    start = number_of(cursor)
    after = start + limit
    return Page(items=list(items[start:after]), next_cursor=to_cursor(str(after)) if after < len(items) else None)


def page_of(items: Sequence[T], following: str) -> Page[T]:
    """A page as a room read it, and where it says that the next begins; empty = nowhere."""
    return Page(items=list(items), next_cursor=to_cursor(following) if following else None)


def keyed_page(items: Sequence[T], keys: Sequence[str], limit: int) -> Page[T]:
    """A page of a list that was read by key with one more item than the limit."""
    more = len(items) > limit
    return Page(items=list(items[:limit]), next_cursor=to_cursor(keys[limit - 1]) if more else None)


def to_dict(message: Message) -> dict[str, Any]:
    """A message as the API says it: snake_case; int64 are still texts, which the answers' models turn into numbers."""
    found: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return found


def progress_of(message: Any) -> Progress:
    """Progress of a run or an extraction."""
    return Progress(fraction=message.fraction, eta_s=known(message.eta_s), step=message.step)


def provenance_of(message: Any) -> Provenance:
    """Provenance as the API says it."""
    return Provenance.model_validate(to_dict(message) | {"model": model_name(message.model)})


def model_name(message: Any) -> ModelName | None:
    """A model's name, or None when the message names none."""
    return ModelName(name=message.name, version=message.version, digest=message.digest) if message.name else None


def known(value: float) -> float | None:
    """A number that is not negative, or None."""
    return value if math.isfinite(value) and value >= 0 else None


def plain(parameters: Mapping[str, float]) -> dict[str, float | None]:
    """Numbers for JSON: what is not known is null."""
    return {name: (value if math.isfinite(value) else None) for name, value in sorted(parameters.items())}


def read_json(text: str) -> Any:
    """A JSON text of a message; an empty one is an empty object."""
    return json.loads(text or "{}")

"""A container's form, read as it comes: small fields first, then the archive, which never lies in memory as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import Request
from irp.training.v1 import container_service_pb2 as pb
from irp_kernel.errors import TooLarge, UnsupportedMediaType

from irp_gateway.adapters.bodies import MAX_FIELD_BYTES, bounded
from irp_gateway.domain.errors import BodyNotReadable
from irp_gateway.domain.multipart import Event, PartBegins, PartData, Splitter, boundary_of, parameters_of

ARCHIVE, FIELDS = "archive", ("sockets", "reference", "licence")


async def pieces_of(request: Request, name: str, actor: str, limit: int) -> AsyncIterator[pb.PushContainerRequest]:
    """The header, once the archive begins, and the archive in pieces.

    Args:
        request: multipart/form-data whose body is not read yet.
        name: of the container.
        actor: who pushes it.
        limit: bytes of the whole body.

    Raises:
        UnsupportedMediaType, MultipartBroken: not such a form.
        BodyNotReadable: no archive, or fields after it.
        TooLarge: the body or a field is.
    """
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise UnsupportedMediaType(f"send multipart/form-data with {', '.join(FIELDS)} and then {ARCHIVE}")
    splitter, form = Splitter(boundary_of(content_type)), _Form(name, actor)
    async for chunk in bounded(request, limit):
        for event in splitter.feed(chunk):
            if (piece := form.take(event)) is not None:
                yield piece
    splitter.finish()
    if not form.began:
        raise BodyNotReadable(f"the form has no field `{ARCHIVE}`")


class _Form:
    """What came so far: the small fields, and whether the archive has begun."""

    def __init__(self, name: str, actor: str) -> None:
        self._name, self._actor = name, actor
        self._fields, self._field = dict[str, bytes](), ""
        self.began = False

    def take(self, event: Event) -> pb.PushContainerRequest | None:
        """What one event of the body says to the training room, if anything."""
        match event:
            case PartBegins(headers):
                return self._begin(parameters_of(headers.get("content-disposition", "")).get("name", ""))
            case PartData(data) if self.began:
                return pb.PushContainerRequest(data=data)
            case PartData(data):
                self._add(data)
        return None

    def _begin(self, field: str) -> pb.PushContainerRequest | None:
        if self.began:
            raise BodyNotReadable(f"the field `{ARCHIVE}` must be the last one")
        self._field, self.began = field, field == ARCHIVE
        if self.began:
            return pb.PushContainerRequest(header=_header(self._name, self._actor, self._fields))
        if field not in FIELDS:
            raise BodyNotReadable(f"fields are {', '.join(FIELDS)} and {ARCHIVE}")
        return None

    def _add(self, data: bytes) -> None:
        so_far = self._fields.get(self._field, b"") + data
        if len(so_far) > MAX_FIELD_BYTES:
            raise TooLarge(f"the field has at most {MAX_FIELD_BYTES} bytes", limit_bytes=MAX_FIELD_BYTES)
        self._fields[self._field] = so_far


def _header(name: str, actor: str, fields: dict[str, bytes]) -> pb.PushContainerHeader:
    try:
        told = {field: data.decode() for field, data in fields.items()}
    except UnicodeDecodeError:
        raise BodyNotReadable("a field of the form is not UTF-8") from None
    return pb.PushContainerHeader(name=name, actor=actor, **told)

"""A container's form, read as it comes: small fields first, then archives, which never lie in memory as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import Request
from irp.training.v1 import container_service_pb2 as pb
from irp_chassis.bounded_body import bounded
from irp_kernel.errors import TooLarge, UnsupportedMediaType

from irp_gateway.adapters.bodies import MAX_FIELD_BYTES
from irp_gateway.domain.errors import BodyNotReadable
from irp_gateway.domain.multipart import Event, PartBegins, PartData, Splitter, boundary_of, parameters_of

ARCHIVE, MODEL, FIELDS = "archive", "model", ("sockets", "reference", "licence")
ORDER = f"fields are {', '.join(FIELDS)}, then {MODEL} if there are weights, then {ARCHIVE}"


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
    if form.field != ARCHIVE:
        raise BodyNotReadable(ORDER)


class _Form:
    """What came so far: the small fields, and which field is coming."""

    def __init__(self, name: str, actor: str) -> None:
        self._name, self._actor = name, actor
        self._fields = dict[str, bytes]()
        self.field = ""

    def take(self, event: Event) -> pb.PushContainerRequest | None:
        """What one event of the body says to the training room, if anything."""
        match event:
            case PartBegins(headers):
                return self._begin(parameters_of(headers.get("content-disposition", "")).get("name", ""))
            case PartData(data) if self.field == ARCHIVE:
                return pb.PushContainerRequest(data=data)
            case PartData(data) if self.field == MODEL:
                return pb.PushContainerRequest(model=data)
            case PartData(data):
                self._add(data)
        return None

    def _begin(self, field: str) -> pb.PushContainerRequest | None:
        before, self.field = self.field, field
        allowed = {ARCHIVE: (), MODEL: (ARCHIVE,)}.get(before, (*FIELDS, MODEL, ARCHIVE))
        if field not in allowed:
            raise BodyNotReadable(ORDER)
        if field in FIELDS or before == MODEL:
            return None
        return pb.PushContainerRequest(header=_header(self._name, self._actor, self._fields))

    def _add(self, data: bytes) -> None:
        so_far = self._fields.get(self.field, b"") + data
        if len(so_far) > MAX_FIELD_BYTES:
            raise TooLarge(f"the field has at most {MAX_FIELD_BYTES} bytes", limit_bytes=MAX_FIELD_BYTES)
        self._fields[self.field] = so_far


def _header(name: str, actor: str, fields: dict[str, bytes]) -> pb.PushContainerHeader:
    try:
        told = {field: data.decode() for field, data in fields.items()}
    except UnicodeDecodeError:
        raise BodyNotReadable("a field of the form is not UTF-8") from None
    return pb.PushContainerHeader(name=name, actor=actor, **told)

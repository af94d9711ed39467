"""One error tree for the whole house.

The domain raises what happened, with identifiers, numbers and units only; the chassis has one table that
turns `Code` into gRPC status, HTTP problem and NATS verdict. The docstring of a class is its problem page:
first line = title, the rest = what to do next. Exceptions never carry patient attributes or foreign text.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import ClassVar

Detail = str | int | float


class Code(enum.StrEnum):
    """Canonical codes, named as in google.rpc.Code."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    ABORTED = "ABORTED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    UNAVAILABLE = "UNAVAILABLE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    DATA_LOSS = "DATA_LOSS"
    INTERNAL = "INTERNAL"


class IrpError(Exception):
    """Something went wrong inside the platform.

    Try again; if it happens again, give the trace id of this answer to the operator.
    """

    code: ClassVar[Code] = Code.INTERNAL
    reason: ClassVar[str] = "INTERNAL"
    http_status: ClassVar[int | None] = None  # only where HTTP is finer than the code (406, 412, 413, 415, 422)
    retry_after_s: float | None = None

    def __init__(self, message: str = "", /, **details: Detail) -> None:
        self.message = message or self.title()
        self.details: dict[str, Detail] = details
        super().__init__(self.message)

    def __init_subclass__(cls) -> None:
        if "reason" not in cls.__dict__:
            cls.reason = _upper_snake(cls.__name__)

    @classmethod
    def title(cls) -> str:
        """First line of the class's docstring."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip(".")

    @classmethod
    def advice(cls) -> str:
        """What to do next: the docstring after its first paragraph."""
        paragraphs = (cls.__doc__ or "").strip().split("\n\n", 1)
        return " ".join(paragraphs[1].split()) if len(paragraphs) == 2 else ""


def _upper_snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).upper()


def every_error(root: type[IrpError] = IrpError) -> Iterator[type[IrpError]]:
    """The tree, depth first: for generated problem pages."""
    yield root
    for child in root.__subclasses__():
        yield from every_error(child)


class InvalidArgument(IrpError):
    """The request is not valid.

    Read the detail, correct the value it names, and send the request again.
    """

    code = Code.INVALID_ARGUMENT


class FailedPrecondition(IrpError):
    """The request does not fit the present state.

    Read the detail: it names what must be true first.
    """

    code = Code.FAILED_PRECONDITION


class Unauthenticated(IrpError):
    """The request carries no valid token.

    Send `Authorization: Bearer TOKEN`; `irp env` prints a development token.
    """

    code = Code.UNAUTHENTICATED


class PermissionDenied(IrpError):
    """The token's roles do not allow this.

    Ask a project owner for the role that the detail names.
    """

    code = Code.PERMISSION_DENIED


class NotFound(IrpError):
    """There is no such thing here, or you may not see it.

    Check the identifier; list what exists with the collection's GET.
    """

    code = Code.NOT_FOUND


class NotYetKnown(IrpError):
    """A fact that this one builds on has not arrived yet.

    Facts of different streams are not ordered; the message is delivered again by itself.
    """

    code = Code.UNAVAILABLE
    retry_after_s = 1.0


class AlreadyExists(IrpError):
    """Such a thing exists already.

    Use another name, or read the existing one.
    """

    code = Code.ALREADY_EXISTS


class Aborted(IrpError):
    """Somebody changed the same thing at the same time.

    Read it again and repeat the request.
    """

    code = Code.ABORTED


class ResourceExhausted(IrpError):
    """A limit was reached.

    Wait for the time in Retry-After and repeat the request.
    """

    code = Code.RESOURCE_EXHAUSTED
    retry_after_s = 2.0


class TooLarge(IrpError):
    """The body or a part of it is larger than the limit.

    Send smaller parts; the detail names the limit in bytes.
    """

    code = Code.INVALID_ARGUMENT
    http_status = 413


class UnsupportedMediaType(IrpError):
    """The body's media type is not one that this address takes.

    Send one of the media types that the detail lists.
    """

    code = Code.INVALID_ARGUMENT
    http_status = 415


class NotAcceptable(IrpError):
    """None of the media types in Accept can be given here.

    Ask for one of the media types that the detail lists.
    """

    code = Code.INVALID_ARGUMENT
    http_status = 406


class DeadlineExceeded(IrpError):
    """The answer was not ready before the deadline.

    Repeat the request, with a longer deadline if the work is large.
    """

    code = Code.DEADLINE_EXCEEDED


class Unavailable(IrpError):
    """A part that this request needs does not answer now.

    Repeat the request after a moment; `irp status` shows which part is down.
    """

    code = Code.UNAVAILABLE
    retry_after_s = 1.0


class Unimplemented(IrpError):
    """The protocol's call is not offered here.

    The documentation of the protocol's page lists what is.
    """

    code = Code.UNIMPLEMENTED


class DataLoss(IrpError):
    """Stored bytes differ from their hash.

    Nothing was answered from them. The operator must restore the object: `irp verify` lists it.
    """

    code = Code.DATA_LOSS


class GeometryMismatch(InvalidArgument):
    """The mask does not lie on the image's grid.

    Resample the mask to the image's grid (same shape, spacing, orientation and origin) and send it again.
    """


class BadVolumeFile(InvalidArgument):
    """The file is not a readable NRRD or NIfTI volume.

    Send NRRD (raw or gzip) or NIfTI-1/2 with a valid spatial transform.
    """


class UnknownStructure(InvalidArgument):
    """The label table names a structure that is not known here.

    Use the canonical names or the structures of the project's configuration.
    """


class CursorNotValid(InvalidArgument):
    """The cursor is not one that this list gave.

    Begin again without `cursor`, and hand back `next_cursor` unchanged.
    """


class ProjectUnknown(NotFound):
    """There is no such project, or you are not a member of it.

    `GET /api/v1/projects` lists your projects; `irp project create` makes one.
    """


class SeriesHeld(Aborted):
    """The series is being deleted.

    Ask for it again after a minute: it is gone then, or it stays and takes what you sent.
    """


class SeriesUnknown(NotFound):
    """There is no such series in this project.

    Series are known by their de-identified UID: take it from the upload's answer or from QIDO-RS.
    """


class ModelUnknown(NotFound):
    """There is no such model, or no such version of it.

    `GET /api/v1/models` lists the names and versions; write `name` or `name@version`.
    """

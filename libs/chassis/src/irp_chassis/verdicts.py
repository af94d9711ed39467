"""THE table: error code -> gRPC status -> HTTP status -> what happens to a NATS message."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import grpc
from irp_kernel.errors import Code, DeadlineExceeded, IrpError


class Nats(enum.Enum):
    """What becomes of a message whose handler raised."""

    ACK = "ack"  # it was done before
    RETRY = "retry"  # again, with back-off
    PARK = "park"  # never again by itself


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row of the table."""

    grpc: grpc.StatusCode
    http: int
    nats: Nats


TABLE: dict[Code, Verdict] = {
    Code.INVALID_ARGUMENT: Verdict(grpc.StatusCode.INVALID_ARGUMENT, 400, Nats.PARK),
    Code.FAILED_PRECONDITION: Verdict(grpc.StatusCode.FAILED_PRECONDITION, 400, Nats.PARK),
    Code.UNAUTHENTICATED: Verdict(grpc.StatusCode.UNAUTHENTICATED, 401, Nats.PARK),
    Code.PERMISSION_DENIED: Verdict(grpc.StatusCode.PERMISSION_DENIED, 403, Nats.PARK),
    Code.NOT_FOUND: Verdict(grpc.StatusCode.NOT_FOUND, 404, Nats.PARK),
    Code.ALREADY_EXISTS: Verdict(grpc.StatusCode.ALREADY_EXISTS, 409, Nats.ACK),
    Code.ABORTED: Verdict(grpc.StatusCode.ABORTED, 409, Nats.RETRY),
    Code.RESOURCE_EXHAUSTED: Verdict(grpc.StatusCode.RESOURCE_EXHAUSTED, 429, Nats.RETRY),
    Code.DEADLINE_EXCEEDED: Verdict(grpc.StatusCode.DEADLINE_EXCEEDED, 504, Nats.RETRY),
    Code.UNAVAILABLE: Verdict(grpc.StatusCode.UNAVAILABLE, 503, Nats.RETRY),
    Code.UNIMPLEMENTED: Verdict(grpc.StatusCode.UNIMPLEMENTED, 501, Nats.PARK),
    Code.DATA_LOSS: Verdict(grpc.StatusCode.DATA_LOSS, 500, Nats.PARK),
    Code.INTERNAL: Verdict(grpc.StatusCode.INTERNAL, 500, Nats.RETRY),
}
CODE_OF_STATUS: dict[grpc.StatusCode, Code] = {verdict.grpc: code for code, verdict in TABLE.items()}


def http_status(error: IrpError) -> int:
    """HTTP status of an error: its own where HTTP is finer than the code."""
    return error.http_status or TABLE[error.code].http


def answerable(error: Exception) -> IrpError:
    """What a caller is told of an exception: of one that is not the platform's own, only that something went wrong."""
    if isinstance(error, IrpError):
        return error
    return DeadlineExceeded() if isinstance(error, TimeoutError) else IrpError()


class RemoteError(IrpError):
    """Another room refused or failed.

    The reason and the detail are the other room's own.
    """

    def __init__(
        self, *, code: Code, reason: str, message: str, title: str, advice: str, http: int | None, retry_s: float | None
    ) -> None:
        super().__init__(message)
        self.__dict__.update(code=code, reason=reason, http_status=http, retry_after_s=retry_s)
        self.remote_title, self.remote_advice = title, advice


def title_of(error: IrpError) -> str:
    """Title for people: the remote room's own, if the error came from there."""
    return error.remote_title if isinstance(error, RemoteError) else error.title()


def advice_of(error: IrpError) -> str:
    """What to do next: the remote room's own, if the error came from there."""
    return error.remote_advice if isinstance(error, RemoteError) else error.advice()

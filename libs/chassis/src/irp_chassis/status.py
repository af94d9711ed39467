"""Errors on the gRPC wire: google.rpc.Status with ErrorInfo and RetryInfo, and back."""

from __future__ import annotations

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from irp_kernel.errors import Code, IrpError

from irp_chassis.verdicts import CODE_OF_STATUS, TABLE, RemoteError, advice_of, title_of

DOMAIN = "openirp"


def to_status(error: IrpError) -> grpc.Status:
    """An error as rich gRPC status."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    info.metadata.update({key: str(value) for key, value in error.details.items()})
    info.metadata.update({"title": title_of(error), "advice": advice_of(error)})
    if error.http_status:
        info.metadata["http"] = str(error.http_status)
    details = [info]
    packed = [_pack(detail) for detail in details]
    if error.retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(int(error.retry_after_s * 1000))
        packed.append(_pack(retry))
    number = code_pb2.Code.Value(TABLE[error.code].grpc.name)
    return rpc_status.to_status(status_pb2.Status(code=number, message=error.message, details=packed))


def from_rpc_error(error: grpc.aio.AioRpcError) -> RemoteError:
    """A failed call as an error of our tree; a status from elsewhere keeps its code only."""
    code = CODE_OF_STATUS.get(error.code(), Code.INTERNAL)
    if error.code() is grpc.StatusCode.CANCELLED:
        code = Code.UNAVAILABLE  # not by the caller, who would not be here: the room left before it had answered
    status = _status_of(error)
    info, retry_s = error_details_pb2.ErrorInfo(), None
    for detail in status.details if status else ():
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
            retry_s = retry.retry_delay.ToMilliseconds() / 1000
    ours = info.domain == DOMAIN
    http = info.metadata.get("http", "")
    return RemoteError(
        code=code,
        reason=info.reason if ours else code.value,
        message=status.message if ours and status else f"a room answered {code.value}",
        title=info.metadata.get("title", "A room did not answer as expected"),
        advice=info.metadata.get("advice", "Repeat the request; `irp status` shows which room is down."),
        http=int(http) if http.isdecimal() else None,
        retry_s=retry_s if ours else (1.0 if code is Code.UNAVAILABLE else None),
    )


def _pack(detail: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed


def _status_of(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return status_pb2.Status.FromString(value)
    return None

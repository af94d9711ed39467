"""Asking another room: token minted per call, deadline passed on, retries only where the proto says idempotent."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from irp_kernel.errors import DeadlineExceeded, Unavailable
from opentelemetry import propagate

from irp_chassis.auth import TokenMinter, caller
from irp_chassis.cancelled import is_told_to_end
from irp_chassis.rpc_sending import Sending, broke_while_sending
from irp_chassis.rpc_server import deadline
from irp_chassis.status import from_rpc_error

DEFAULT_TIMEOUT_S = 30.0
CONNECT_S = 10.0  # a room that restarts is back by then
MAX_MESSAGE_BYTES = 512 << 20
RETRY = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


class RpcClient:
    """A channel to one room and the way to call through it."""

    def __init__(
        self, address: str, minter: TokenMinter, files: Iterable[FileDescriptor] = (), *, health: bool = False
    ) -> None:
        """A channel.

        Args:
            address: "host:port", whose replicas take turns; or as gRPC names it ("dns:///...", "ipv4:...").
            minter: of the tokens that calls carry.
            files: protos of the methods that may be tried again.
            health: a replica that says that it does not serve (it drains, it loads) is treated as one that is away.
        """
        target = address if "://" in address or address.startswith(("ipv4:", "ipv6:")) else f"dns:///{address}"
        self.channel = grpc.aio.insecure_channel(
            target,
            options=[
                ("grpc.service_config", json.dumps(service_config(files, health=health))),
                ("grpc.enable_retries", 1),
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
            ],
        )
        self._minter, self._closed = minter, False
        self._streams = set[Any]()  # that have not ended

    @property
    def is_ready(self) -> bool:
        """Whether the room is there now; looking makes an idle channel connect."""
        return self.channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY

    async def call(self, method: Any, request: Any, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Any:
        """Call a unary-answer method of a stub with a message or an async iterator of messages.

        Raises:
            RemoteError: the room refused or failed; carries its reason.
            Unavailable: the room was lost while messages were sent; what it did with them is not known.
            Exception: whatever the iterator raised; the room sees a cancelled call.
        """
        try:
            if not isinstance(request, AsyncIterable):
                return await method(request, metadata=self._metadata(), timeout=_left(timeout_s))
            await self._connected()
            source = Sending(request)
            return await source.answer(method(source, metadata=self._metadata(), timeout=_left(timeout_s)))
        except grpc.aio.AioRpcError as error:
            raise (Unavailable() if broke_while_sending(error) else from_rpc_error(error)) from None

    async def stream(
        self, method: Any, request: Any | AsyncIterable[Any], *, timeout_s: float | None = None
    ) -> AsyncIterator[Any]:
        """Call a method that answers a stream.

        Raises:
            RemoteError: the room refused or failed; carries its reason.
            Unavailable: the channel was closed meanwhile.
        """
        call = method(request, metadata=self._metadata(), timeout=_left(timeout_s))
        self._streams.add(call)
        try:
            async for answer in call:
                yield answer
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        except asyncio.CancelledError:
            if not self._closed or is_told_to_end():
                raise
            raise Unavailable("the line was closed") from None
        finally:
            self._streams.discard(call)
            call.cancel()

    async def _connected(self) -> None:
        """A stream is sent once and never again: it does not begin before the room is there.

        Raises:
            Unavailable: the room was not there in time.
        """
        try:
            await asyncio.wait_for(self.channel.channel_ready(), _left(CONNECT_S))
        except TimeoutError:
            raise Unavailable from None

    async def close(self) -> None:
        """Close the channel, and end every stream: by itself it ends only those that it sees somebody wait for."""
        self._closed = True
        for call in list(self._streams):
            call.cancel()
        await self.channel.close()

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return (("authorization", f"Bearer {self._minter.mint(caller())}"), *carrier.items())


def service_config(files: Iterable[FileDescriptor], *, health: bool = False) -> dict[str, Any]:
    """Round robin, retries for the methods whose `idempotency_level` allows them, and whether health is watched."""
    safe = {MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT}
    names = [
        {"service": service.full_name, "method": method.name}
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
        # a consumed request stream cannot be sent again
        if method.GetOptions().idempotency_level in safe and not method.client_streaming
    ]
    config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if health:
        config["healthCheckConfig"] = {"serviceName": ""}
    if names:
        config["methodConfig"] = [{"name": names, "retryPolicy": RETRY}]
    return config


def _left(timeout_s: float | None) -> float | None:
    """The shorter of this call's time-out and what is left of the caller's deadline."""
    until = deadline.get()
    if until is None:
        return timeout_s
    left = until - time.monotonic()
    if left <= 0:
        raise DeadlineExceeded
    return left if timeout_s is None else min(left, timeout_s)

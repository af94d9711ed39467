"""The gRPC door of a room: tokens are verified, errors become rich status, deadlines and traces are carried on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any

import grpc
import grpc.aio
import structlog
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from irp_kernel.errors import Code, Unauthenticated

from irp_chassis.auth import AUDIENCE, TokenVerifier, act_as
from irp_chassis.rpc_sending import stop_sending
from irp_chassis.settings import ServiceSettings
from irp_chassis.status import to_status
from irp_chassis.telemetry import RPC_SECONDS, span
from irp_chassis.verdicts import answerable

OPEN_SERVICES = ("/grpc.health.v1.Health/", "/grpc.reflection.")

deadline: ContextVar[float | None] = ContextVar("irp_deadline", default=None)  # monotonic seconds


class RpcServer:
    """A grpc.aio server with health, reflection and the house's interceptor."""

    def __init__(
        self, settings: ServiceSettings, *, bind: str | None = None, audiences: Sequence[str] = (AUDIENCE,)
    ) -> None:
        limits = [
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", settings.max_message_bytes),
            ("grpc.so_reuseport", 0),
        ]
        key = settings.auth_public_key_file
        verifier = TokenVerifier.from_file(key, audiences) if key else None
        self._server = grpc.aio.server(interceptors=[_Door(verifier)], options=limits)
        self._bind = bind or settings.rpc_bind
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._names = [health.SERVICE_NAME, reflection.SERVICE_NAME]
        self.port = 0

    def add(self, register: Callable[[Any, Any], None], servicer: object) -> None:
        """Add a servicer with its generated `add_..._to_server`."""
        register(servicer, self._server)

    def describe(self, file: FileDescriptor) -> None:
        """Offer a proto file's services by reflection and health."""
        self._names += [service.full_name for service in file.services_by_name.values()]

    async def start(self) -> None:
        """Bind and serve; the port is known afterwards."""
        reflection.enable_server_reflection(self._names, self._server)
        self.port = self._server.add_insecure_port(self._bind)
        await self._server.start()

    async def set_serving(self, serving: bool) -> None:
        """Tell probes whether the room is ready."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *self._names[2:]):
            await self._health.set(name, status)

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, let those in flight finish."""
        await self._server.stop(grace_s)


class _Door(grpc.aio.ServerInterceptor):
    def __init__(self, verifier: TokenVerifier | None) -> None:
        self._verifier = verifier

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        handler = await continuation(details)
        method: str = details.method
        if handler is None or method.startswith(OPEN_SERVICES):
            return handler
        call = _Call(method, self._verifier, receives_stream=handler.request_streaming)
        if handler.response_streaming:
            make = grpc.stream_stream_rpc_method_handler if handler.request_streaming else None
            make = make or grpc.unary_stream_rpc_method_handler
            behaviour: Any = call.streaming(handler.stream_stream or handler.unary_stream)
        else:
            make = grpc.stream_unary_rpc_method_handler if handler.request_streaming else None
            make = make or grpc.unary_unary_rpc_method_handler
            behaviour = call.unary(handler.stream_unary or handler.unary_unary)
        return make(behaviour, handler.request_deserializer, handler.response_serializer)


class _Call:
    """What surrounds every served call."""

    def __init__(self, method: str, verifier: TokenVerifier | None, *, receives_stream: bool) -> None:
        self._method, self._verifier, self._receives_stream = method, verifier, receives_stream
        self._log = structlog.get_logger(rpc=method)

    def unary(self, behaviour: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        async def serve(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            began = time.monotonic()
            with span(self._method, _metadata(context)):
                try:
                    self._enter(context)
                    answer = await behaviour(request, context)
                except Exception as error:
                    await self._refuse(error, context, began)
                self._count("OK", began)
                return answer

        return serve

    def streaming(
        self, behaviour: Callable[[Any, Any], AsyncIterator[Any]]
    ) -> Callable[[Any, Any], AsyncIterator[Any]]:
        async def serve(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            began = time.monotonic()
            with span(self._method, _metadata(context)):
                try:
                    self._enter(context)
                    async for answer in behaviour(request, context):
                        yield answer
                except Exception as error:
                    await self._refuse(error, context, began)
                self._count("OK", began)

        return serve

    def _enter(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        if self._verifier is None:
            raise Unauthenticated("this room has no public key and refuses every call")
        scheme, _, token = _metadata(context).get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("the call carries no room token")
        act_as(self._verifier.verify(token))
        left = context.time_remaining()
        deadline.set(time.monotonic() + left if left is not None else None)

    async def _refuse(self, error: Exception, context: grpc.aio.ServicerContext[Any, Any], began: float) -> None:
        if isinstance(error, grpc.aio.AbortError):
            raise error
        known = answerable(error)
        if known.code is Code.INTERNAL and known is not error:
            self._log.error("rpc_failed", exc_info=error)
        else:
            self._log.info("rpc_refused", reason=known.reason)
        self._count(known.code.value, began)
        if self._receives_stream:
            await stop_sending(context)
        await context.abort_with_status(to_status(known))

    def _count(self, code: str, began: float) -> None:
        RPC_SECONDS.labels(self._method, code).observe(time.monotonic() - began)


def _metadata(context: grpc.aio.ServicerContext[Any, Any]) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}

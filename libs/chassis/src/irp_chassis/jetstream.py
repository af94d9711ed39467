"""NATS JetStream: the room's stream, its outbox relay, its durables, and what every process hears."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import nats
import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from irp_chassis.delivery import HandleOnce, Handler, Outcome
from irp_chassis.facts import FactKind, stream_of
from irp_chassis.settings import ServiceSettings
from irp_chassis.telemetry import span

ACK_WAIT_S = 30.0  # seconds; a handler at work says "in progress" three times as often
MAX_ACK_PENDING = 64  # unacknowledged messages per durable, over all replicas
PUBLISH_TIMEOUT_S = 5.0
DUPLICATE_WINDOW_S = 120.0
FETCH_S = 2.0

_LOST = (nats.errors.Error, OSError, TimeoutError)


class JetStream:
    """A connection that comes back by itself; nobody is refused while it is away."""

    def __init__(self, room: str, settings: ServiceSettings) -> None:
        self._room, self._settings = room, settings
        self._client = Client()
        self._ready = asyncio.Event()
        self._log = structlog.get_logger(part="jetstream")

    @property
    def connected(self) -> bool:
        """True while a server answers and the room's stream is there."""
        return self._ready.is_set() and self._client.is_connected

    async def connect(self) -> None:
        """Connect, however long it takes, and declare the room's stream."""
        while not self._ready.is_set():
            try:
                await self._client.connect(
                    servers=self._settings.nats_url.split(","),
                    user=self._settings.nats_user or None,
                    password=self._settings.nats_password.get_secret_value() or None,
                    name=f"irp-{self._room}",
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=1,
                    allow_reconnect=True,
                    error_cb=self._on_error,
                )
                await self._declare_stream()
            except _LOST as error:
                self._log.warning("nats_unreachable", error=type(error).__name__)
                with contextlib.suppress(Exception):
                    await self._client.close()
                self._client = Client()
                await asyncio.sleep(0.5)
            else:
                self._ready.set()

    async def close(self) -> None:
        """Send what is pending and leave."""
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._client.close(), 5)

    async def check(self) -> None:
        """Raise unless a server answers."""
        if not self.connected:
            raise ConnectionError
        await asyncio.wait_for(self._client.flush(), 3)

    async def publish(self, subject: str, data: bytes, *, message_id: str, traceparent: str) -> None:
        """Publish one fact and wait until the stream holds it; raises a NATS error otherwise."""
        await self._ready.wait()
        headers = {"Nats-Msg-Id": message_id}
        if traceparent:
            headers["traceparent"] = traceparent
        await self._stream_context().publish(subject, data, timeout=PUBLISH_TIMEOUT_S, headers=headers)

    async def consume(self, kind: FactKind, handle: HandleOnce, stopping: asyncio.Event) -> None:
        """Feed a durable's messages to its handler until `stopping`; reconnects and re-subscribes by itself."""
        config = ConsumerConfig(
            durable_name=handle.durable,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_S,
            max_ack_pending=MAX_ACK_PENDING,
            max_deliver=-1,
            filter_subject=kind.filter,
        )
        async for message in self._messages(kind, config, stopping):
            headers = message.headers or {}
            # The name does not come from the message: a subject holds the project's id only.
            with span(f"handle {handle.durable}", headers):
                await self._handle(message, headers.get("Nats-Msg-Id", ""), handle)

    async def hear(self, kind: FactKind, handler: Handler, stopping: asyncio.Event) -> None:
        """Give every process the latest fact per subject, and then each new one."""
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
            filter_subject=kind.filter,
            inactive_threshold=60.0,
        )
        async for message in self._messages(kind, config, stopping):
            with span(f"hear {kind.subject}", message.headers or {}):
                try:
                    await handler(kind.message.FromString(message.data))
                except Exception as error:
                    self._log.error("heard_fact_failed", subject=kind.subject, exc_info=error)

    async def _messages(self, kind: FactKind, config: ConsumerConfig, stopping: asyncio.Event) -> AsyncIterator[Msg]:
        while not stopping.is_set():
            await self._ready.wait()
            try:
                subscription = await self._stream_context().pull_subscribe(
                    kind.filter, durable=config.durable_name, stream=kind.stream, config=config
                )
                async for message in self._fetch(subscription, stopping):
                    yield message
            except NotFoundError:
                await asyncio.sleep(0.3)  # the writing room has not declared its stream yet
            except (*_LOST, APIError) as error:
                self._log.warning("subscription_lost", subject=kind.subject, error=type(error).__name__)
                await asyncio.sleep(0.5)

    async def _fetch(
        self, subscription: JetStreamContext.PullSubscription, stopping: asyncio.Event
    ) -> AsyncIterator[Msg]:
        try:
            while not stopping.is_set():
                try:
                    messages = await subscription.fetch(1, timeout=FETCH_S)
                except (TimeoutError, nats.errors.TimeoutError):
                    await subscription.consumer_info()  # gone after a restart of the server: subscribe again
                    continue
                for message in messages:
                    yield message
        finally:
            with contextlib.suppress(Exception):
                await subscription.unsubscribe()

    async def _handle(self, message: Msg, message_id: str, handle: HandleOnce) -> None:
        beat = asyncio.create_task(_say_in_progress(message))
        try:
            outcome = await handle(message_id, message.subject, message.data)
        except Exception as error:  # the database is away: deliver again
            self._log.error("inbox_unreachable", exc_info=error)
            outcome = Outcome("unreachable", 1.0)
        finally:
            beat.cancel()
        with contextlib.suppress(nats.errors.Error):  # not acknowledged = delivered again = handled once
            await (message.ack() if outcome.retry_s is None else message.nak(delay=outcome.retry_s))

    async def _declare_stream(self) -> None:
        name = stream_of(self._room)
        config = StreamConfig(
            name=name,
            subjects=[f"irp.{self._room}.v1.>"],
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_bytes=self._settings.nats_stream_max_bytes,
            num_replicas=self._settings.nats_replicas,
            duplicate_window=DUPLICATE_WINDOW_S,
        )
        context = self._stream_context()
        try:
            await context.stream_info(name)
            await context.update_stream(config)
        except NotFoundError:
            await context.add_stream(config)

    def _stream_context(self) -> JetStreamContext:
        return self._client.jetstream(timeout=PUBLISH_TIMEOUT_S)

    async def _on_error(self, error: Exception) -> None:
        self._log.warning("nats_error", error=type(error).__name__)


async def _say_in_progress(message: Msg) -> None:
    while True:
        await asyncio.sleep(ACK_WAIT_S / 3)
        with contextlib.suppress(nats.errors.Error):
            await message.in_progress()

"""A room's life: settings -> parts -> `compose` -> serve -> SIGTERM: stop accepting, finish, drain, leave.

`compose(room)` in a room's main.py says what it serves, handles and works on; this file does the standing up.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import uvicorn
from google.protobuf.message import Message
from irp.common.v1 import operations_service_pb2, operations_service_pb2_grpc
from sqlalchemy import MetaData

from irp_chassis.db import Database
from irp_chassis.delivery import HandleOnce, Handler
from irp_chassis.facts import FactKind, kind_of
from irp_chassis.failpoints import arm_from
from irp_chassis.http import Check, Readiness, create_app
from irp_chassis.http_lines import BoundedHttp
from irp_chassis.inbox import Inbox
from irp_chassis.jetstream import JetStream
from irp_chassis.jobs import JobHandler, JobRunner
from irp_chassis.migrate import migrate
from irp_chassis.objects import S3Objects
from irp_chassis.operations import Operations, References, SeriesReferences
from irp_chassis.outbox import OutboxRelay
from irp_chassis.rpc_server import RpcServer
from irp_chassis.settings import ServiceSettings
from irp_chassis.telemetry import start_telemetry, stop_telemetry
from irp_chassis.workers import start_workers, stop_workers

REPLAY_LOOK_S = 2.0
MAX_WS_BYTES = 1 << 20  # of one WebSocket message that comes in
VERSION = "0.1.0"

S = TypeVar("S", bound=ServiceSettings)
Background = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class _Plan:
    """What `compose` asked for."""

    handlers: list[tuple[FactKind, HandleOnce]] = field(default_factory=list)
    heard: list[tuple[FactKind, Handler]] = field(default_factory=list)
    runners: list[JobRunner] = field(default_factory=list)
    background: list[Background] = field(default_factory=list)
    on_stop: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    references: list[References] = field(default_factory=list)
    of_series: list[SeriesReferences] = field(default_factory=list)
    servers: list[RpcServer] = field(default_factory=list)
    webs: list[_Web] = field(default_factory=list)


class Room(Generic[S]):
    """The parts a room stands on, and the ways to hang its doors on them."""

    def __init__(self, name: str, settings: S, metadata: MetaData) -> None:
        self.name, self.settings = name, settings
        self.log = start_telemetry(name, settings)
        self.database = Database(settings.database_url, metadata)
        self.objects = S3Objects(settings.bucket or f"irp-{name}", settings)
        self.readiness = Readiness()
        self.http = create_app(f"OpenIRP {name}", VERSION, self.readiness, docs_url=None, redoc_url=None)
        self.rpc = RpcServer(settings)
        self.inbox = Inbox(self.database)
        self.stream = JetStream(name, settings)
        self._plan = _Plan(servers=[self.rpc])

    def serve(self, register: Callable[[Any, Any], None], servicer: object, *, file: Any = None) -> None:
        """Serve a gRPC servicer; `file` is its proto's DESCRIPTOR, for reflection and health."""
        self.rpc.add(register, servicer)
        if file is not None:
            self.rpc.describe(file)

    def serve_beside(self, server: RpcServer) -> None:
        """Start and stop a second gRPC server (another port) with the room."""
        self._plan.servers.append(server)

    def serve_http_beside(self, app: Any, bind: str) -> None:
        """Start and stop a second HTTP server (another port) with the room."""
        self._plan.webs.append(_Web(app, bind))

    def on(self, message: type[Message], handler: Handler) -> None:
        """Handle a kind of fact, each once; the proto must name this room as reader."""
        kind = kind_of(message)
        if self.name not in kind.readers:
            raise TypeError(f"{message.DESCRIPTOR.full_name} does not name {self.name} as reader")
        self._plan.handlers.append((kind, HandleOnce(kind.durable(self.name), message, handler, self.inbox)))

    def hear(self, message: type[Message], handler: Handler) -> None:
        """Hear the latest fact per subject, and each new one, in every process."""
        kind = kind_of(message)
        if not kind.broadcast:
            raise TypeError(f"{message.DESCRIPTOR.full_name} is not declared as broadcast")
        self._plan.heard.append((kind, handler))

    def job(self, kind: str, handler: JobHandler, *, concurrency: int = 1, first: Sequence[Any] = ()) -> None:
        """Work on job rows of a kind; `first` sorts them before their age."""
        self._plan.runners += [JobRunner(kind, handler, self.database, first) for _ in range(concurrency)]

    def spawn(self, background: Background) -> None:
        """Run a loop beside everything; it gets the event that says "stop"."""
        self._plan.background.append(background)

    def ready_when(self, name: str, check: Check) -> None:
        """Not ready while this check raises."""
        self.readiness.need(name, check)

    def refers_to(self, references: References) -> None:
        """Say which objects the room's rows refer to, for `irp verify`."""
        self._plan.references.append(references)

    def refers_to_series(self, references: SeriesReferences) -> None:
        """Say what the room keeps of series that people or models made: it stands against deleting them."""
        self._plan.of_series.append(references)

    def on_stop(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Call this when everything is drained."""
        self._plan.on_stop.append(callback)

    async def live(self, compose: Callable[[Room[S]], Awaitable[None]], migrations: str, stop: asyncio.Event) -> None:
        """From standing up to leaving; returns when `stop` is set and everything is drained."""
        arm_from(self.settings.failpoint_dir)
        start_workers(self.settings.cpu_workers)
        web = _Web(self.http, self.settings.http_bind)
        stopping = asyncio.Event()
        begun = asyncio.Event()
        self.readiness.need("begun", _check_set(begun))
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self.database.close)
            stack.callback(stop_workers)
            web_task = asyncio.create_task(web.serve())
            stack.push_async_callback(_finish, web_task, web)
            await migrate(self.database, migrations)
            await self.inbox.prune()
            self._check_parts()
            connecting = asyncio.create_task(self.stream.connect())
            stack.push_async_callback(self.stream.close)
            stack.callback(connecting.cancel)
            if not await _unless(stop, self.objects.ensure_bucket()):
                return
            await compose(self)
            operations = Operations(
                self.inbox, self.database, self.objects, self._plan.references, self._plan.of_series
            )
            self.serve(
                operations_service_pb2_grpc.add_OperationsServiceServicer_to_server,
                operations,
                file=operations_service_pb2.DESCRIPTOR,
            )
            loops = await self._begin(stopping)
            for beside in self._plan.webs:
                stack.push_async_callback(_finish, asyncio.create_task(beside.serve()), beside)
            begun.set()
            self.log.info("room_ready", rpc_port=self.rpc.port)
            await stop.wait()
            await self._leave(stopping, loops)

    async def _begin(self, stopping: asyncio.Event) -> list[asyncio.Task[None]]:
        relay = OutboxRelay(self.database, self.stream)
        loops = [relay.run(stopping), self._replay(stopping)]
        loops += [self.stream.consume(kind, handle, stopping) for kind, handle in self._plan.handlers]
        loops += [self.stream.hear(kind, handler, stopping) for kind, handler in self._plan.heard]
        if self.database.is_sqlite:
            for runner in self._plan.runners:
                await runner.release_all()
        self.database.on_enqueued = self._ring
        loops += [runner.run(stopping) for runner in self._plan.runners]
        loops += [background(stopping) for background in self._plan.background]
        for server in self._plan.servers:
            await server.start()
            await server.set_serving(True)
        return [asyncio.create_task(self._guarded(loop)) for loop in loops]

    def _ring(self) -> None:
        for runner in self._plan.runners:
            runner.rung.set()

    async def _leave(self, stopping: asyncio.Event, loops: list[asyncio.Task[None]]) -> None:
        self.log.info("room_draining")
        self.readiness.draining = True
        stopping.set()
        for server in self._plan.servers:
            await server.set_serving(False)
        await asyncio.gather(*(server.stop(self.settings.drain_s) for server in self._plan.servers))
        _, unfinished = await asyncio.wait(loops, timeout=self.settings.drain_s)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        for callback in reversed(self._plan.on_stop):
            await callback()
        self.log.info("room_left", unfinished=len(unfinished))

    def _check_parts(self) -> None:
        self.readiness.need("database", self.database.check)
        self.readiness.need("objects", self.objects.check)
        self.readiness.want("events", self.stream.check)

    async def _replay(self, stopping: asyncio.Event) -> None:
        """Hand facts that an operator replays to their handlers."""
        handlers = {handle.durable: handle for _, handle in self._plan.handlers}
        while not stopping.is_set():
            for fact in await self.inbox.in_state("replay"):
                if fact.durable in handlers:
                    await handlers[fact.durable](fact.message_id, fact.subject, fact.data)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stopping.wait(), REPLAY_LOOK_S)

    async def _guarded(self, loop: Coroutine[Any, Any, None]) -> None:
        try:
            await loop
        except Exception as error:
            # A loop that ended would leave a room that only looks alive: end it, the supervisor starts it again.
            self.log.error("loop_died", exc_info=error)
            signal.raise_signal(signal.SIGTERM)


class _Web:
    """uvicorn inside the room's own loop; signals are the room's business."""

    def __init__(self, app: Any, bind: str) -> None:
        host, _, port = bind.rpartition(":")
        config = uvicorn.Config(
            app,
            host=host.strip("[]"),
            port=int(port),
            http=BoundedHttp,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=10,
            ws_max_size=MAX_WS_BYTES,
            ws_per_message_deflate=False,  # labels are packed already, and nobody sends a bomb
        )
        self.server = uvicorn.Server(config)
        self.server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]

    async def serve(self) -> None:
        await self.server.serve()


async def _finish(task: asyncio.Task[None], web: _Web) -> None:
    web.server.should_exit = True
    await asyncio.gather(task, return_exceptions=True)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do the work unless we are told to stop first; True if it was done."""
    doing, told = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({doing, told}, return_when=asyncio.FIRST_COMPLETED)
    for task in (doing, told):
        if not task.done():
            task.cancel()
    return doing.done() and not doing.cancelled() and doing.exception() is None


def _check_set(event: asyncio.Event) -> Check:
    async def check() -> None:
        if not event.is_set():
            raise RuntimeError

    return check


def keep_out_of_collections() -> None:
    """Whatever lives now (modules, above all) is not looked through again by Python's garbage collector.

    A full collection of a room's some 200,000 objects stops its event loop for 50 ms and more.
    """
    gc.collect()
    gc.freeze()


def run_room(
    name: str,
    settings: type[S],
    compose: Callable[[Room[S]], Awaitable[None]],
    *,
    metadata: MetaData,
    migrations: str,
) -> None:
    """Read the settings and live until SIGTERM or SIGINT: the body of every `main()`."""

    async def live() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        room = Room(name, settings(), metadata)
        keep_out_of_collections()
        try:
            await room.live(compose, migrations, stop)
        finally:
            stop_telemetry()

    asyncio.run(live())

"""What you learn here: how a room stands up on the real parts, serves, handles facts once, and leaves on request."""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from irp.common.v1 import operations_service_pb2 as pb
from irp.common.v1 import operations_service_pb2_grpc as pb_grpc
from irp.common.v1 import types_pb2
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp_chassis.auth import Caller, TokenMinter, act_as
from irp_chassis.jobs import Job
from irp_chassis.room import Room
from irp_chassis.rpc import RpcClient
from irp_chassis.settings import ServiceSettings
from irp_chassis.tables import new_metadata
from irp_chassis.testing.parts import free_port
from irp_chassis.verdicts import RemoteError
from irp_kernel.errors import InvalidArgument

Compose = Callable[[Room[ServiceSettings]], Awaitable[None]]


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    package = tmp_path / "some_room_migrations"
    (package / "versions").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "versions" / "0001_initial.py").write_text(
        "from alembic import op\nfrom irp_chassis.migrate import create_chassis_tables\n"
        "revision, down_revision, branch_labels, depends_on = '0001', None, None, None\n"
        "def upgrade():\n    create_chassis_tables(op)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return package.name


@asynccontextmanager
async def living(
    name: str, settings: ServiceSettings, compose: Compose, migrations: str
) -> AsyncIterator[Room[ServiceSettings]]:
    room = Room(name, settings, new_metadata())
    stop = asyncio.Event()
    life = asyncio.create_task(room.live(compose, migrations, stop))
    try:
        async with httpx.AsyncClient(base_url=f"http://{settings.http_bind}") as client:
            for _ in range(200):
                if life.done():
                    life.result()
                try:
                    if (await client.get("/readyz")).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.05)
            else:
                raise AssertionError("the room did not become ready")
        yield room
    finally:
        stop.set()
        await asyncio.wait_for(life, 20)


def on_free_ports(settings: ServiceSettings, database: Path) -> ServiceSettings:
    return settings.model_copy(
        update={
            "rpc_bind": f"127.0.0.1:{free_port()}",
            "http_bind": f"127.0.0.1:{free_port()}",
            "database_url": f"sqlite+aiosqlite:///{database}",
        }
    )


def a_fact(project: str, revision: int = 1) -> ProjectConfigured:
    ref = types_pb2.ObjectRef(bucket="irp-gateway", key="k", sha256="0" * 64, size=1, media_type="application/json")
    return ProjectConfigured(
        project=types_pb2.ProjectRef(id=project, revision=revision, configuration=ref),
        aggregate=types_pb2.Aggregate(id=project, version=revision),
    )


async def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


async def nothing(_room: Room[ServiceSettings]) -> None:
    return None


async def test_a_fact_announced_in_a_transaction_reaches_its_reader_once(
    service_settings: ServiceSettings, migrations: str, tmp_path: Path
) -> None:
    handled: list[str] = []

    async def compose(room: Room[ServiceSettings]) -> None:
        async def on_configured(fact: ProjectConfigured) -> None:
            handled.append(fact.project.id)

        room.on(ProjectConfigured, on_configured)

    writer = on_free_ports(service_settings, tmp_path / "w.db")
    reader = on_free_ports(service_settings, tmp_path / "r.db")
    async with living("gateway", writer, nothing, migrations) as gateway:
        async with living("quality", reader, compose, migrations):
            for _ in range(2):  # the same fact twice is one fact
                async with gateway.database.transaction() as tx:
                    await tx.announce(a_fact("alpha"))
            async with gateway.database.transaction() as tx:
                await tx.announce(a_fact("beta"))
            await until(lambda: "beta" in handled)
    assert handled == ["alpha", "beta"]


async def test_a_refused_fact_is_parked_shown_and_replayed(
    service_settings: ServiceSettings, migrations: str, tmp_path: Path, minter: TokenMinter
) -> None:
    refuse, handled = True, []

    async def compose(room: Room[ServiceSettings]) -> None:
        async def on_configured(fact: ProjectConfigured) -> None:
            if refuse:
                raise InvalidArgument("not today")
            handled.append(fact.project.id)

        room.on(ProjectConfigured, on_configured)

    writer = on_free_ports(service_settings, tmp_path / "w.db")
    reader = on_free_ports(service_settings, tmp_path / "r.db")
    async with living("gateway", writer, nothing, migrations) as gateway:
        async with living("radiomics", reader, compose, migrations) as room:
            async with gateway.database.transaction() as tx:
                await tx.announce(a_fact("parked-project"))
            client = RpcClient(reader.rpc_bind, minter)
            stub = pb_grpc.OperationsServiceStub(client.channel)
            act_as(Caller(subject="operator", roles=frozenset({"admin"})))
            parked: list[pb.ParkedFact] = []
            async with asyncio.timeout(15):
                while not any("parked-project" in fact.fact for fact in parked):
                    parked = list((await client.call(stub.ListParked, pb.ListParkedRequest())).facts)
                    await asyncio.sleep(0.05)
            assert {fact.reason for fact in parked} == {"INVALID_ARGUMENT"}
            refuse = False
            await client.call(stub.ReplayParked, pb.ReplayParkedRequest())
            await until(lambda: "parked-project" in handled)
            assert await room.inbox.in_state("parked") == []
            await client.close()


async def test_a_call_without_the_gateways_token_is_refused(
    service_settings: ServiceSettings, migrations: str, tmp_path: Path
) -> None:
    settings = on_free_ports(service_settings, tmp_path / "r.db")
    stranger = types.SimpleNamespace(mint=lambda _identity: "forged")
    async with living("quality", settings, nothing, migrations):
        client = RpcClient(settings.rpc_bind, stranger)  # type: ignore[arg-type]
        act_as(Caller(subject="nobody"))
        with pytest.raises(RemoteError) as refused:
            await client.call(pb_grpc.OperationsServiceStub(client.channel).ListParked, pb.ListParkedRequest())
        assert refused.value.reason == "UNAUTHENTICATED"
        assert refused.value.remote_advice
        await client.close()


async def test_a_job_that_fails_for_a_moment_is_run_again_and_then_done(
    service_settings: ServiceSettings, migrations: str, tmp_path: Path
) -> None:
    attempts: list[int] = []

    async def compose(room: Room[ServiceSettings]) -> None:
        async def work(job: Job) -> None:
            attempts.append(job.attempt)
            if job.attempt == 1:
                raise ConnectionError

        room.job("work", work)

    settings = on_free_ports(service_settings, tmp_path / "j.db")
    async with living("training", settings, compose, migrations) as room:
        async with room.database.transaction() as tx:
            assert await tx.enqueue("work", key="one", payload={})
            assert not await tx.enqueue("work", key="one", payload={})
        await until(lambda: len(attempts) == 2)
    assert attempts == [1, 2]

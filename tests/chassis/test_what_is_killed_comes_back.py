"""What you learn here: facts wait while NATS is away; a room killed between steps repeats work and loses nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from irp.common.v1 import types_pb2
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp_chassis.db import Database
from irp_chassis.delivery import HandleOnce
from irp_chassis.facts import kind_of
from irp_chassis.failpoints import AFTER_COMMIT, AFTER_OBJECT, AFTER_PUBLISH
from irp_chassis.inbox import Inbox
from irp_chassis.jetstream import JetStream
from irp_chassis.outbox import OutboxRelay
from irp_chassis.settings import ServiceSettings
from irp_chassis.testing.parts import NatsPart

A_ROOM = """
import asyncio, sys
from irp.common.v1 import types_pb2
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp_chassis import ServiceSettings, run_room
from irp_chassis.tables import new_metadata

async def compose(room):
    async def work(stopping):
        for n in range(3):
            ref = await room.objects.put(b"x%d" % n, project="demo", entity="e", id="i", kind="k",
                                         media_type="text/plain", extension="txt")
            async with room.database.transaction() as tx:
                if await tx.enqueue("seen", key=str(n), payload={}):
                    await tx.announce(ProjectConfigured(project=types_pb2.ProjectRef(id=sys.argv[1], revision=n + 1)))
        while not room.stream.connected:
            await asyncio.sleep(0.05)
        async with asyncio.timeout(20):
            while True:
                async with room.database.read() as c:
                    if not (await c.exec_driver_sql("SELECT 1 FROM outbox")).first():
                        break
                await asyncio.sleep(0.05)
        print("done", flush=True)
        await stopping.wait()
    room.spawn(work)

run_room("gateway", ServiceSettings, compose, metadata=new_metadata(), migrations="failing_room")
"""


def a_fact(project: str, revision: int) -> ProjectConfigured:
    return ProjectConfigured(project=types_pb2.ProjectRef(id=project, revision=revision))


async def collect(settings: ServiceSettings, database: Database, project: str, wanted: int) -> list[int]:
    """Revisions that a reader handles, in order, until `wanted` have come."""
    seen: list[int] = []

    async def handler(fact: ProjectConfigured) -> None:
        if fact.project.id == project:
            seen.append(fact.project.revision)

    kind = kind_of(ProjectConfigured)
    stream, stopping = JetStream("gateway", settings), asyncio.Event()
    await stream.connect()
    handle = HandleOnce(f"reader-{project}--x", ProjectConfigured, handler, Inbox(database))
    loop = asyncio.create_task(stream.consume(kind, handle, stopping))
    async with asyncio.timeout(30):
        while len(set(seen)) < wanted:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)  # a repetition would come now
    stopping.set()
    await asyncio.wait_for(loop, 10)
    await stream.close()
    return seen


async def test_facts_wait_while_nats_is_away_and_arrive_once(
    service_settings: ServiceSettings, nats_server: NatsPart, database: Database
) -> None:
    stream, stopping = JetStream("gateway", service_settings), asyncio.Event()
    await stream.connect()
    relay = asyncio.create_task(OutboxRelay(database, stream).run(stopping))
    for revision in range(1, 9):
        if revision == 4:
            nats_server.kill()
        async with database.transaction() as tx:  # refuses nobody
            await tx.announce(a_fact("killed-nats", revision))
        await asyncio.sleep(0.05)
    nats_server.start()
    assert await collect(service_settings, database, "killed-nats", 8) == list(range(1, 9))
    stopping.set()
    await asyncio.wait_for(relay, 10)
    await stream.close()


@pytest.mark.parametrize("failpoint", [AFTER_OBJECT, AFTER_COMMIT, AFTER_PUBLISH])
async def test_a_room_killed_at_a_failpoint_loses_and_doubles_nothing(
    failpoint: str, service_settings: ServiceSettings, database: Database, tmp_path: Path
) -> None:
    package = tmp_path / "failing_room" / "versions"
    package.mkdir(parents=True)
    (tmp_path / "failing_room" / "__init__.py").touch()
    (package / "0001_initial.py").write_text(
        "from alembic import op\nfrom irp_chassis.migrate import create_chassis_tables\n"
        "revision, down_revision = '0001', None\ndef upgrade():\n    create_chassis_tables(op)\n"
    )
    script = tmp_path / "room.py"
    script.write_text(A_ROOM)
    (tmp_path / "armed").mkdir()
    (tmp_path / "armed" / failpoint).touch()
    environment = os.environ | {
        "IRP_NATS_URL": service_settings.nats_url,
        "IRP_S3_ENDPOINT": service_settings.s3_endpoint,
        "IRP_S3_ACCESS_KEY": service_settings.s3_access_key,
        "IRP_S3_SECRET_KEY": service_settings.s3_secret_key.get_secret_value(),
        "IRP_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/failing.db",
        "IRP_FAILPOINT_DIR": str(tmp_path / "armed"),
        "PYTHONPATH": str(tmp_path),
    }
    project = failpoint.replace("_", "-")

    async def run() -> tuple[int, bytes]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout
        said = await asyncio.wait_for(process.stdout.readline(), 60)
        if said:
            process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(process.wait(), 30), said

    assert await run() == (-signal.SIGKILL, b"")
    assert await run() == (0, b"done\n")
    assert await collect(service_settings, database, project, 3) == [1, 2, 3]

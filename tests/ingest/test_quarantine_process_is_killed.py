"""What you learn here: a real ingest gets SIGKILL after an object and after a commit; the quarantine loses nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from irp.common.v1 import types_pb2
from irp.ingest.v1 import ingest_service_pb2_grpc as pb_grpc
from irp_chassis.auth import TokenMinter
from irp_chassis.failpoints import AFTER_COMMIT, AFTER_OBJECT
from irp_chassis.objects import S3Objects
from irp_chassis.rpc import RpcClient
from irp_chassis.settings import ServiceSettings
from irp_chassis.testing.parts import S3Part, free_port
from irp_chassis.verdicts import RemoteError
from irp_chassis.wire import object_ref_to_proto
from irp_kernel.errors import Unavailable
from pydantic import SecretStr

from .conftest import CONFIGURATION, Door, to_bytes
from .test_quarantine import a_capture, as_role, carried_out, decide

DIED = (RemoteError, Unavailable)


def environment(settings: ServiceSettings, folder: Path, **more: str) -> dict[str, str]:
    """The settings as a process is told them."""
    plain = {
        f"IRP_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in settings.model_dump().items()
        if value not in (None, "")
    }
    own = {
        "IRP_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/ingest.db",
        "IRP_INSTALLATION_KEY": "ab" * 32,
        "IRP_FAILPOINT_DIR": str(folder),
    }
    return {**os.environ, **plain, **own, **more}


def begun(told: dict[str, str], log_file: Path) -> subprocess.Popen[bytes]:
    with log_file.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "irp_ingest.main"], env=told, stdout=log, stderr=log, start_new_session=True
        )


@asynccontextmanager
async def ingest_process(settings: ServiceSettings, minter: TokenMinter, folder: Path) -> AsyncIterator[Door]:
    """`python -m irp_ingest.main`; whoever is inside may see it die."""
    rpc, http = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    told = environment(settings, folder, IRP_RPC_BIND=rpc, IRP_HTTP_BIND=http)
    process = begun(told, folder / "ingest.log")
    client = RpcClient(rpc, minter)
    try:
        await _ready(http, process)
        objects = S3Objects("irp-ingest", settings)
        ref = await objects.put(
            json.dumps(CONFIGURATION).encode(), project="hearts", entity="project", id="1", kind="configuration",
            media_type="application/json", extension="json",
        )  # fmt: skip
        project = types_pb2.ProjectRef(id="hearts", revision=1, configuration=object_ref_to_proto(ref))
        nothing: Any = None
        yield Door(client, pb_grpc.IngestServiceStub(client.channel), objects, nothing, project, nothing)
    finally:
        await client.close()
        os.killpg(process.pid, signal.SIGKILL)
        await asyncio.to_thread(process.wait)


async def _ready(bind: str, process: subprocess.Popen[bytes]) -> None:
    async with httpx.AsyncClient(base_url=f"http://{bind}") as web, asyncio.timeout(60):
        while True:
            assert process.poll() is None
            try:
                if (await web.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def test_sigkill_between_object_row_and_answer_loses_and_doubles_nothing(
    service_settings: ServiceSettings, minter: TokenMinter, tmp_path: Path, s3_server: S3Part
) -> None:
    file = to_bytes(a_capture(77, text=bytes(range(100, 140))))
    async with ingest_process(service_settings, minter, tmp_path) as door:
        as_role("uploader")
        (tmp_path / AFTER_OBJECT).touch()
        try:
            await door.upload([file])
            raise AssertionError("it was to die")
        except DIED:
            assert not (tmp_path / AFTER_OBJECT).exists()
    async with ingest_process(service_settings, minter, tmp_path) as door:
        as_role("uploader")
        (outcome,) = await door.upload([file])
        assert outcome.reason == "QUARANTINED"
        sealed = s3_server.folder.rglob(f"hearts/v1/quarantine/{outcome.sop_instance_uid}/**/*.bin")
        assert len(list(sealed)) == 1
        as_role("curator")
        (tmp_path / AFTER_COMMIT).touch()
        try:
            await decide(door, outcome.sop_instance_uid, "release")
            raise AssertionError("it was to die")
        except DIED:
            assert not (tmp_path / AFTER_COMMIT).exists()
    async with ingest_process(service_settings, minter, tmp_path) as door:
        as_role("curator")  # nobody asks again: the decision was durable
        assert (await carried_out(door, outcome.sop_instance_uid)).state == "released"
        assert len(await door.search("instance")) == 1

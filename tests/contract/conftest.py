"""A living gateway on the real parts, between rooms with canned answers; and people who come to it."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from irp.annotation.v1 import annotation_service_pb2_grpc
from irp.common.v1 import operations_service_pb2_grpc
from irp.inference.v1 import inference_service_pb2_grpc, live_service_pb2_grpc, serving_service_pb2_grpc
from irp.ingest.v1 import ingest_service_pb2_grpc
from irp.quality.v1 import quality_service_pb2_grpc
from irp.radiomics.v1 import radiomics_service_pb2_grpc
from irp.training.v1 import challenge_service_pb2_grpc, container_service_pb2_grpc, training_service_pb2_grpc
from irp_chassis.objects import S3Objects
from irp_chassis.room import Room
from irp_chassis.rpc_server import RpcServer
from irp_chassis.testing.parts import NatsPart, S3Part, free_port
from irp_gateway.adapters.db import METADATA
from irp_gateway.main import compose
from irp_gateway.settings import Settings
from pydantic import SecretStr

from . import fake_inference, fake_rooms
from .fake_containers import Challenges, Containers
from .fake_deletions import Referring
from .fake_live import FakeLive
from .fake_serving import FakeServing

TOKEN = "irp_bootstrap-of-the-tests"

PROJECT: dict[str, Any] = {
    "title": "A contract",
    "structures": [{"name": "lv_blood_pool", "canonical": "lv_blood_pool"}],
    "sequences": [{"class": "cine-sax", "when": {"Modality": "^MR$", "phases": {"min": 2}}}],
}


@dataclass
class House:
    """The gateway's address, and the rooms it talks to."""

    url: str
    settings: Settings
    ingest: fake_rooms.Ingest
    annotation: fake_rooms.Annotation
    training: fake_rooms.Training
    live: FakeLive = field(default_factory=FakeLive)
    serving: FakeServing = field(default_factory=FakeServing)
    referring: Referring = field(default_factory=Referring)
    containers: Containers = field(default_factory=Containers)
    challenges: Challenges = field(default_factory=Challenges)
    radiomics: RpcServer | None = None
    radiomics_lives: bool = False
    room: Room[Settings] | None = None
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def person(self, token: str = TOKEN) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def member(self, project: str, subject: str, *roles: str, **more: Any) -> httpx.Client:
        """Somebody with these roles, coming with a token of this project."""
        admin = self.person()
        path = f"/api/v1/projects/{project}"
        assert admin.put(f"{path}/members/{subject}", json={"roles": list(roles)}).status_code == 200
        answer = admin.post(f"{path}/tokens", json={"subject": subject, **more})
        assert answer.status_code == 201, answer.text
        return self.person(answer.json()["token"])

    def begin_radiomics(self) -> None:
        """From now on the room answers."""
        assert self.radiomics
        if not self.radiomics_lives:
            self.run(self.radiomics.start())
        self.radiomics_lives = True

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Part, key_files: tuple[Path, Path]) -> Iterator[House]:
    """The gateway, composed as in production, in a thread of its own."""
    nats_server = NatsPart(tmp_path_factory.mktemp("nats"))
    nats_server.start()
    rpc, http = free_port(), free_port()
    address = f"127.0.0.1:{rpc}"
    settings = Settings(
        http_bind=f"127.0.0.1:{http}",
        public_url=f"http://127.0.0.1:{http}",
        nats_url=nats_server.url,
        s3_endpoint=s3_server.endpoint,
        s3_access_key=s3_server.access_key,
        s3_secret_key=SecretStr(s3_server.secret_key),
        database_url=f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('gateway')}/gateway.db",
        auth_public_key_file=key_files[1],
        auth_private_key_file=key_files[0],
        bootstrap_token_sha256=hashlib.sha256(TOKEN.encode()).hexdigest(),
        max_instance_bytes=1 << 20,
        max_body_bytes=1 << 20,
        drain_s=2,
        ingest_address=address,
        quality_address=address,
        annotation_address=address,
        inference_address=address,
        training_address=address,
        radiomics_address=f"127.0.0.1:{free_port()}",  # nobody there, until a test needs it
    )
    objects = S3Objects("irp-fake-ingest", settings)
    house = House(
        url=settings.public_url,
        settings=settings,
        ingest=fake_rooms.Ingest(objects=objects),
        annotation=fake_rooms.Annotation(),
        training=fake_rooms.Training(),
    )
    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: house.loop.run_until_complete(_live(house, address, objects, stop)))
    thread.start()
    _wait_until_ready(house.url)
    with house.person() as admin:  # whichever test comes first finds the project that all share
        assert admin.post("/api/v1/projects", json=PROJECT | {"name": "shared"}).status_code == 201
    yield house
    house.loop.call_soon_threadsafe(stop.set)
    thread.join(30)
    nats_server.stop()


async def _live(house: House, address: str, objects: S3Objects, stop: asyncio.Event) -> None:
    await objects.ensure_bucket()
    server = RpcServer(house.settings, bind=address)
    server.add(ingest_service_pb2_grpc.add_IngestServiceServicer_to_server, house.ingest)
    server.add(quality_service_pb2_grpc.add_QualityServiceServicer_to_server, fake_rooms.Quality())
    server.add(annotation_service_pb2_grpc.add_AnnotationServiceServicer_to_server, house.annotation)
    server.add(inference_service_pb2_grpc.add_InferenceServiceServicer_to_server, fake_inference.Inference())
    server.add(live_service_pb2_grpc.add_LiveServiceServicer_to_server, house.live)
    server.add(serving_service_pb2_grpc.add_ServingServiceServicer_to_server, house.serving)
    server.add(training_service_pb2_grpc.add_TrainingServiceServicer_to_server, house.training)
    server.add(container_service_pb2_grpc.add_ContainerServiceServicer_to_server, house.containers)
    server.add(challenge_service_pb2_grpc.add_ChallengeServiceServicer_to_server, house.challenges)
    server.add(operations_service_pb2_grpc.add_OperationsServiceServicer_to_server, fake_rooms.Operations())
    await server.start()
    house.radiomics = RpcServer(house.settings, bind=house.settings.radiomics_address)
    house.radiomics.add(radiomics_service_pb2_grpc.add_RadiomicsServiceServicer_to_server, fake_rooms.Radiomics())
    house.radiomics.add(operations_service_pb2_grpc.add_OperationsServiceServicer_to_server, house.referring)
    house.room = Room("gateway", house.settings, METADATA)
    await house.room.live(compose, "irp_gateway.adapters.migrations", stop)
    await server.stop(1)
    await house.radiomics.stop(1)


def _wait_until_ready(url: str) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the gateway did not become ready")


@pytest.fixture(scope="session")
def admin(house: House) -> httpx.Client:
    return house.person()


@pytest.fixture(scope="session")
def project(house: House) -> str:
    """A project that tests share."""
    return "/api/v1/projects/shared"


def is_problem(answer: httpx.Response, status: int, reason: str = "") -> dict[str, Any]:
    """The answer is a problem page that says what to do."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["advice"]
    assert len(body["trace_id"]) >= 16
    assert reason in {"", body["reason"]}
    return body

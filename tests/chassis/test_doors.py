"""What you learn here: how errors look outside, that their cause never does, and how deadlines are passed on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import grpc.aio
import httpx
import pytest
from fastapi import FastAPI
from irp.common.v1 import operations_service_pb2 as pb
from irp.common.v1 import operations_service_pb2_grpc as pb_grpc
from irp.ingest.v1 import ingest_service_pb2 as ingest_pb
from irp.ingest.v1 import ingest_service_pb2_grpc as ingest_pb_grpc
from irp_chassis import rpc_client
from irp_chassis.auth import FRESH_S, LEEWAY_S, LIFETIME_S, Caller, TokenMinter, TokenVerifier, act_as
from irp_chassis.http import Readiness, create_app
from irp_chassis.rpc_client import RpcClient, service_config
from irp_chassis.rpc_server import RpcServer, deadline
from irp_chassis.settings import ServiceSettings
from irp_chassis.verdicts import TABLE, RemoteError
from irp_kernel.errors import Code, GeometryMismatch, ResourceExhausted, TooLarge, Unauthenticated, Unavailable
from pydantic import BaseModel


class Body(BaseModel):
    number: int


def an_app() -> FastAPI:
    app = create_app("test", "0", Readiness())

    @app.get("/mismatch")
    async def mismatch() -> None:
        raise GeometryMismatch("shapes differ", expected=3, found=4)

    @app.get("/crash")
    async def crash() -> None:
        raise ValueError("Doe^John 19700101")

    @app.get("/full")
    async def full() -> None:
        raise ResourceExhausted

    @app.get("/large")
    async def large() -> None:
        raise TooLarge

    @app.post("/body")
    async def body(body: Body) -> None:
        return None

    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(an_app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/mismatch", 400, "GEOMETRY_MISMATCH"),
        ("GET", "/full", 429, "RESOURCE_EXHAUSTED"),
        ("GET", "/large", 413, "TOO_LARGE"),
        ("GET", "/crash", 500, "INTERNAL"),
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("DELETE", "/full", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/body", 422, "BODY_NOT_VALID"),
    ],
)
async def test_every_error_is_a_problem_that_says_what_to_do(
    client: httpx.AsyncClient, method: str, path: str, status: int, reason: str
) -> None:
    answer = await client.request(method, path, json={"number": "Doe^John"} if method == "POST" else None)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["reason"] == reason
    assert body["status"] == status
    assert body["advice"]
    assert "Doe" not in answer.text


async def test_a_full_queue_says_when_to_come_back(client: httpx.AsyncClient) -> None:
    assert int((await client.get("/full")).headers["retry-after"]) >= 1


async def test_readiness_names_the_part_that_is_down() -> None:
    readiness = Readiness()

    async def down() -> None:
        raise ConnectionError

    async def fine() -> None:
        return None

    readiness.need("database", fine)
    readiness.want("events", down)
    app = create_app("test", "0", readiness)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        degraded = await client.get("/readyz")
        readiness.need("objects", down)
        refused = await client.get("/readyz")
    assert (degraded.status_code, degraded.json()["status"]) == (200, "degraded")
    assert refused.status_code == 503
    assert refused.json()["parts"] == {"database": "ok", "objects": "ConnectionError", "events": "ConnectionError"}


def test_the_table_knows_every_code() -> None:
    assert set(TABLE) == set(Code)


def test_a_room_token_dies_after_a_minute(key_files: tuple) -> None:
    private, public = key_files
    verifier = TokenVerifier.from_file(public)
    who = Caller(subject="u", project="demo", roles=frozenset({"owner"}))
    assert verifier.verify(TokenMinter.from_file(private).mint(who)) == who
    past = TokenMinter(private.read_bytes(), now=lambda: time.time() - LIFETIME_S - 10)
    with pytest.raises(Unauthenticated):
        verifier.verify(past.mint(who))


def test_a_room_token_is_used_again_while_it_is_fresh_and_by_nobody_else(key_files: tuple) -> None:
    now = [1_000_000.0]
    minter = TokenMinter(key_files[0].read_bytes(), now=lambda: now[0])
    reader, other = Caller(subject="reader"), Caller(subject="reader", roles=frozenset({"owner"}))
    first = minter.mint(reader)
    assert minter.mint(reader) == first != minter.mint(other)
    now[0] += FRESH_S
    second = minter.mint(reader)
    now[0] -= 2 * FRESH_S  # the clock was set back
    assert len({first, second, minter.mint(reader)}) == 3


def test_a_token_that_is_known_expires_all_the_same(key_files: tuple) -> None:
    private, public = key_files
    now = [time.time()]
    verifier = TokenVerifier(public.read_bytes(), now=lambda: now[0])
    token = TokenMinter.from_file(private).mint(Caller(subject="reader"))
    assert verifier.verify(token) == verifier.verify(token) == Caller(subject="reader")
    with pytest.raises(Unauthenticated):
        verifier.verify(token[:-4] + "AAAA")
    now[0] += LIFETIME_S + LEEWAY_S + 1
    with pytest.raises(Unauthenticated):
        verifier.verify(token)


def test_only_what_the_proto_calls_idempotent_is_sent_again() -> None:
    config = service_config([pb.DESCRIPTOR])
    assert {name["method"] for name in config["methodConfig"][0]["name"]} >= {"ListParked", "ReplayParked"}


class Slow(pb_grpc.OperationsServiceServicer):
    """Answers with what is left of the caller's deadline, or refuses, or crashes."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def ListParked(self, request: pb.ListParkedRequest, context: object) -> pb.ListParkedResponse:
        if self.error:
            raise self.error
        left = (deadline.get() or 0) - time.monotonic()
        return pb.ListParkedResponse(facts=[pb.ParkedFact(failures=round(left))])


@pytest.fixture
async def slow(service_settings: ServiceSettings, minter: TokenMinter) -> AsyncIterator[tuple[Slow, RpcClient]]:
    server, servicer = RpcServer(service_settings, bind="127.0.0.1:0"), Slow()
    server.add(pb_grpc.add_OperationsServiceServicer_to_server, servicer)
    await server.start()
    client = RpcClient(f"127.0.0.1:{server.port}", minter)
    act_as(Caller(subject="test", roles=frozenset({"admin"})))
    yield servicer, client
    await client.close()
    await server.stop(0)


async def test_a_deadline_is_passed_on_and_never_grows(slow: tuple[Slow, RpcClient]) -> None:
    _, client = slow
    act_as(Caller(subject="test"))
    stub = pb_grpc.OperationsServiceStub(client.channel)
    answer = await client.call(stub.ListParked, pb.ListParkedRequest(), timeout_s=7)
    assert answer.facts[0].failures in {6, 7}
    token = deadline.set(time.monotonic() + 3)
    answer = await client.call(stub.ListParked, pb.ListParkedRequest(), timeout_s=60)
    deadline.reset(token)
    assert answer.facts[0].failures in {2, 3}


async def test_a_refusal_keeps_its_reason_across_the_wire_and_a_crash_says_nothing(
    slow: tuple[Slow, RpcClient],
) -> None:
    servicer, client = slow
    act_as(Caller(subject="test"))
    stub = pb_grpc.OperationsServiceStub(client.channel)
    servicer.error = TooLarge("at most 5 bytes", limit=5)
    with pytest.raises(RemoteError) as refused:
        await client.call(stub.ListParked, pb.ListParkedRequest())
    assert (refused.value.reason, refused.value.http_status, refused.value.message) == (
        "TOO_LARGE",
        413,
        "at most 5 bytes",
    )
    servicer.error = ValueError("Doe^John")
    with pytest.raises(RemoteError) as crashed:
        await client.call(stub.ListParked, pb.ListParkedRequest())
    assert crashed.value.reason == "INTERNAL"
    assert "Doe" not in str(crashed.value.__dict__)


async def test_a_room_that_leaves_in_the_middle_of_a_call_is_unavailable_to_its_caller(
    service_settings: ServiceSettings, minter: TokenMinter
) -> None:
    begun = asyncio.Event()

    class Hangs(pb_grpc.OperationsServiceServicer):
        async def ListParked(self, request: pb.ListParkedRequest, context: object) -> pb.ListParkedResponse:
            begun.set()
            await asyncio.Event().wait()
            raise AssertionError

    server = RpcServer(service_settings, bind="127.0.0.1:0")
    server.add(pb_grpc.add_OperationsServiceServicer_to_server, Hangs())
    await server.start()
    client = RpcClient(f"127.0.0.1:{server.port}", minter)
    act_as(Caller(subject="test", roles=frozenset({"admin"})))
    # a method that may be sent again would wait for another room: this one may not
    asked = client.channel.unary_unary(
        "/irp.common.v1.OperationsService/ListParked",
        request_serializer=pb.ListParkedRequest.SerializeToString,
        response_deserializer=pb.ListParkedResponse.FromString,
    )
    calling = asyncio.create_task(client.call(asked, pb.ListParkedRequest(), timeout_s=10))
    await begun.wait()
    await server.stop(0)
    with pytest.raises(RemoteError) as refused:
        await calling
    assert refused.value.code is Code.UNAVAILABLE
    await client.close()


async def test_a_dead_room_is_unavailable_with_advice(minter: TokenMinter) -> None:
    client = RpcClient("127.0.0.1:1", minter)
    act_as(Caller(subject="test"))
    with pytest.raises(RemoteError) as refused:
        await client.call(pb_grpc.OperationsServiceStub(client.channel).ListParked, pb.ListParkedRequest(), timeout_s=5)
    assert refused.value.code in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}
    await client.close()


async def test_a_stream_does_not_begin_before_its_room_is_there(
    minter: TokenMinter, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    async def pieces() -> AsyncIterator[ingest_pb.StoreInstancesRequest]:
        begun.append("begun")
        yield ingest_pb.StoreInstancesRequest(begin=True)

    monkeypatch.setattr(rpc_client, "CONNECT_S", 0.3)
    client = RpcClient("127.0.0.1:1", minter)
    stub = ingest_pb_grpc.IngestServiceStub(client.channel)
    act_as(Caller(subject="test"))
    with pytest.raises(Unavailable):
        await client.call(stub.StoreInstances, pieces())
    assert begun == [], "what was not begun may be sent again"
    await client.close()


async def test_health_is_open_to_probes(service_settings: ServiceSettings) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    server = RpcServer(service_settings, bind="127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for serving, expected in ((True, 1), (False, 2)):
            await server.set_serving(serving)
            assert (await stub.Check(health_pb2.HealthCheckRequest())).status == expected
    await server.stop(0)
    await asyncio.sleep(0)


class Patient(ingest_pb_grpc.IngestServiceServicer):
    """Reads a stream to its end."""

    async def StoreInstances(self, request_iterator: AsyncIterator[object], context: object) -> object:
        async for _ in request_iterator:
            pass
        return ingest_pb.StoreInstancesResponse()


async def test_what_breaks_a_request_stream_is_what_the_caller_hears(
    service_settings: ServiceSettings, minter: TokenMinter
) -> None:
    server = RpcServer(service_settings, bind="127.0.0.1:0")
    server.add(ingest_pb_grpc.add_IngestServiceServicer_to_server, Patient())
    await server.start()
    client = RpcClient(f"127.0.0.1:{server.port}", minter)
    act_as(Caller(subject="test"))

    async def pieces() -> AsyncIterator[ingest_pb.StoreInstancesRequest]:
        yield ingest_pb.StoreInstancesRequest(begin=True)
        raise TooLarge("at most 1 byte")

    with pytest.raises(TooLarge):
        await client.call(ingest_pb_grpc.IngestServiceStub(client.channel).StoreInstances, pieces(), timeout_s=5)
    await client.close()
    await server.stop(0)

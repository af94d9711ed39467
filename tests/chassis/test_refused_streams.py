"""What you learn here: whoever is still sending hears why it was refused, and that a lost room is not a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp.ingest.v1 import ingest_service_pb2_grpc as pb_grpc
from irp_chassis import rpc_sending
from irp_chassis.auth import Caller, TokenMinter, act_as
from irp_chassis.rpc_client import RpcClient
from irp_chassis.rpc_server import RpcServer
from irp_chassis.settings import ServiceSettings
from irp_chassis.verdicts import RemoteError
from irp_kernel.errors import Code, TooLarge, Unavailable

MESSAGES = 300
Ask = Callable[[AsyncIterator[object]], Awaitable[object]]


class Refusing(pb_grpc.IngestServiceServicer):
    """Reads so many messages, then refuses."""

    reads = 0

    def __init__(self) -> None:
        self.serving = asyncio.Event()

    async def StoreInstances(self, request_iterator: AsyncIterator[object], context: object) -> object:
        self.serving.set()
        for _ in range(self.reads):
            await anext(request_iterator, None)
        raise TooLarge("at most 5 bytes")


Room = tuple[Refusing, RpcServer, Ask]


class Sender:
    """Sends MESSAGES pieces of 64 KiB."""

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self) -> AsyncIterator[pb.StoreInstancesRequest]:
        for self.sent in range(1, MESSAGES + 1):
            await asyncio.sleep(0)
            yield pb.StoreInstancesRequest(data=bytes(1 << 16))


@pytest.fixture
async def room(service_settings: ServiceSettings, minter: TokenMinter) -> AsyncIterator[Room]:
    server, refusing = RpcServer(service_settings, bind="127.0.0.1:0"), Refusing()
    server.add(pb_grpc.add_IngestServiceServicer_to_server, refusing)
    await server.start()
    client = RpcClient(f"127.0.0.1:{server.port}", minter)
    act_as(Caller(subject="test"))
    store = pb_grpc.IngestServiceStub(client.channel).StoreInstances
    yield refusing, server, lambda source: client.call(store, source, timeout_s=30)
    await client.close()
    await server.stop(0)


@pytest.mark.parametrize("reads", [0, 1, 20])
async def test_a_refusal_reaches_a_sender_that_is_still_sending(room: Room, reads: int) -> None:
    refusing, _, ask = room
    refusing.reads = reads
    sent = 0
    for _ in range(40):
        sender = Sender()
        with pytest.raises(RemoteError) as refused:
            await ask(sender())
        assert (refused.value.reason, refused.value.message) == ("TOO_LARGE", "at most 5 bytes")
        sent += sender.sent
    assert sent < 40 * MESSAGES, "it was told to stop"


async def test_a_sender_that_has_nothing_to_send_yet_is_not_waited_for(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck() -> AsyncIterator[pb.StoreInstancesRequest]:
        yield pb.StoreInstancesRequest(begin=True)
        await asyncio.Event().wait()

    _, _, ask = room
    monkeypatch.setattr(rpc_sending, "LINGER_S", 0.2)
    async with asyncio.timeout(5):
        with pytest.raises(RemoteError) as refused:
            await ask(stuck())
    assert refused.value.reason == "TOO_LARGE"


async def test_a_room_that_is_lost_while_messages_are_sent_is_unavailable(room: Room) -> None:
    refusing, server, ask = room
    refusing.reads = MESSAGES
    asked = asyncio.ensure_future(ask(Sender()()))
    await refusing.serving.wait()
    await server.stop(0)
    with pytest.raises((RemoteError, Unavailable)) as lost:
        await asked
    assert lost.value.code is Code.UNAVAILABLE

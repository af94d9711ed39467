"""What you learn here: work ends with the client that waits for it, and in no other way does watching change it."""

from __future__ import annotations

import asyncio

import pytest
from irp_chassis.while_there import while_there
from starlette.requests import ClientDisconnect
from starlette.types import Message


class Client:
    """Somebody who sends pieces of a body, then nothing, and may leave."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces, self.leaves = list(pieces), asyncio.Event()

    async def receive(self) -> Message:
        if self._pieces:
            return {"type": "http.request", "body": self._pieces.pop(), "more_body": True}
        await self.leaves.wait()
        return {"type": "http.disconnect"}


class Work:
    """Takes until it is done or cancelled; says that it began, and how it ended."""

    def __init__(self) -> None:
        self.begun, self.done, self.ended = asyncio.Event(), asyncio.Event(), ""

    async def __call__(self) -> str:
        self.begun.set()
        try:
            await self.done.wait()
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        self.ended = "done"
        return "answer"


async def test_the_work_of_a_client_who_stays_is_answered() -> None:
    client, work = Client(b"more", b"of the body"), Work()
    answering = asyncio.create_task(while_there(client.receive, work()))
    await work.begun.wait()
    work.done.set()
    assert await answering == "answer"
    client.leaves.set()
    assert await while_there(client.receive, work()) == "answer"  # it takes no time: nobody could leave before


async def test_the_work_of_a_client_who_leaves_is_cancelled() -> None:
    client, work = Client(b"more"), Work()
    answering = asyncio.create_task(while_there(client.receive, work()))
    await work.begun.wait()
    client.leaves.set()
    with pytest.raises(ClientDisconnect):
        await answering
    assert work.ended == "cancelled"
    assert answering.cancelling() == 0  # nobody told the request itself to end


async def test_a_client_who_leaves_while_work_that_ended_is_looked_at_harms_nothing_that_follows() -> None:
    client, work = Client(), Work()

    async def request() -> str:
        try:
            return await while_there(client.receive, work())
        except ClientDisconnect:
            await asyncio.sleep(0)  # an audit line is written
            return "left"

    answering = asyncio.create_task(request())
    await work.begun.wait()
    work.done.set()
    client.leaves.set()  # in the same turn of the loop
    assert await answering in {"answer", "left"}
    assert answering.cancelling() == 0


async def test_what_the_work_raises_is_raised() -> None:
    async def fails() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        await while_there(Client().receive, fails())


async def test_a_request_that_is_told_to_end_ends_as_such() -> None:
    client, work = Client(), Work()
    answering = asyncio.create_task(while_there(client.receive, work()))
    await work.begun.wait()
    answering.cancel()
    client.leaves.set()
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert work.ended == "cancelled"

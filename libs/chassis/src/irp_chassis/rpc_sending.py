"""A stream that is refused half way: the sender is told to stop, so that the reason reaches it.

grpc.aio forgets the status of a call that ends while a message is on its way ("Internal error from Core"), and the
sender could not tell "no" from "broken". So a room that refuses says so in its initial metadata and reads on until
the sender has stopped; only then it ends the call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import grpc
import grpc.aio

REFUSED = "irp-refused"  # key of the initial metadata
LINGER_S = 5.0  # for senders that are slow or do not know the key


class Sending:
    """The sender's side: the stream of messages, which remembers why it broke and ends when it is refused."""

    def __init__(self, source: AsyncIterable[Any]) -> None:
        self._source = aiter(source)
        self._refused = False
        self.error: Exception | None = None  # gRPC would only say "cancelled"

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            message = await anext(self._source)
        except StopAsyncIteration:
            raise
        except Exception as error:
            self.error = error
            raise
        if self._refused:
            raise StopAsyncIteration
        return message

    async def answer(self, call: Any) -> Any:
        """The call's answer.

        Raises:
            AioRpcError: the call failed.
            Exception: whatever the source raised.
        """
        listening = asyncio.ensure_future(self._listen(call))
        try:
            return await call
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            if self.error:
                raise self.error from None
            raise
        finally:
            listening.cancel()

    async def _listen(self, call: Any) -> None:
        metadata = await call.initial_metadata()
        self._refused = any(key == REFUSED for key, _ in metadata or ())


async def stop_sending(context: grpc.aio.ServicerContext[Any, Any]) -> None:
    """The room's side: read and forget what still comes, until the sender has stopped or LINGER_S is over."""
    with contextlib.suppress(Exception):  # whatever happens here, the refusal itself follows
        async with asyncio.timeout(LINGER_S):
            await context.send_initial_metadata(((REFUSED, "1"),))
            while await context.read() is not grpc.aio.EOF:
                pass


def broke_while_sending(error: grpc.aio.AioRpcError) -> bool:
    """Whether gRPC lost the call's status: the room died, or ended the call without `stop_sending`."""
    return error.code() is grpc.StatusCode.INTERNAL and error.details() == "Internal error from Core"

"""What you learn here: a client of the protocol's REST door that leaves is computed for no further."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

from irp_chassis.auth import Caller
from irp_inference.adapters.oip.rest_door import create_rest
from starlette.types import Message

BODY = {"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 1, 2, 2], "data": [0, 1, 2, 3]}]}


class EndlessNets:
    """They answer nobody; how it ended is said in `ended`."""

    def __init__(self) -> None:
        self.begun, self.ended = asyncio.Event(), ""

    async def infer(self, *asked: Any) -> Any:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise


def a_scope(path: str) -> dict[str, Any]:
    headers = [(b"authorization", b"Bearer token"), (b"content-type", b"application/json")]
    more = {"http_version": "1.1", "query_string": b"", "root_path": "", "server": ("localhost", 80), "scheme": "http"}
    return {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "headers": headers, **more}


async def test_a_client_that_leaves_is_computed_for_no_further() -> None:
    nets: Any = EndlessNets()
    verifier: Any = SimpleNamespace(verify=lambda token: Caller(subject="reader", project="demo"))
    app = create_rest(nets, verifier, "1", 1 << 20)
    messages: asyncio.Queue[Message] = asyncio.Queue()
    messages.put_nowait({"type": "http.request", "body": json.dumps(BODY).encode(), "more_body": False})
    said: list[Message] = []

    async def send(message: Message) -> None:
        said.append(message)

    answering = asyncio.create_task(app(a_scope("/v2/models/cine.segment/infer"), messages.get, send))
    async with asyncio.timeout(10):
        await nets.begun.wait()
        messages.put_nowait({"type": "http.disconnect"})
        await answering
    assert nets.ended == "cancelled"
    assert said[0]["status"] == 499

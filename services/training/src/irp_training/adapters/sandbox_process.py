"""One process of the sandbox, from its beginning to its end: blobs go in, lines of JSON come out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from irp_training.adapters.sandbox_bounds import ENVIRONMENT

LINE_BYTES = 1 << 20
Blobs = AsyncIterator[bytes]


@asynccontextmanager
async def sandbox_process(command: Sequence[str], blobs: Blobs) -> AsyncIterator[Talk]:
    """Begin it, and hand it the blobs meanwhile; at the end it is killed with all that it began."""
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=pipe,
        stdout=pipe,
        stderr=nothing,
        env=ENVIRONMENT,
        cwd="/",
        start_new_session=True,
        limit=LINE_BYTES,
    )
    feeding = asyncio.create_task(_feed(process, blobs))
    try:
        yield Talk(process, feeding)
    finally:
        feeding.cancel()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await feeding  # `line` has told what went wrong with it


class Talk:
    """What a process says."""

    def __init__(self, process: asyncio.subprocess.Process, feeding: asyncio.Task[None]) -> None:
        self._process, self._feeding = process, feeding

    async def line(self) -> dict[str, Any]:
        """Its next line, an object; empty if it has ended, or says something else.

        Raises:
            what handing over a blob raised.
        """
        if self._process.stdout is None:
            return {}
        try:
            said = json.loads(await self._process.stdout.readline())
        except (ValueError, RecursionError):  # too long, or no JSON
            said = None
        if not isinstance(said, dict) and self._feeding.done() and not self._feeding.cancelled():
            self._feeding.result()
        return said if isinstance(said, dict) else {}


async def _feed(process: asyncio.subprocess.Process, blobs: Blobs) -> None:
    if process.stdin is None:
        return
    try:
        async for blob in blobs:
            process.stdin.write(len(blob).to_bytes(8, "big"))
            process.stdin.write(blob)
            await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        return  # it ended early: its last line says why
    finally:
        process.stdin.close()

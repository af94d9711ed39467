"""One process of the sandbox, from its beginning to its end: a blob goes in, lines of JSON come out."""

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


@asynccontextmanager
async def sandbox_process(command: Sequence[str], blob: bytes) -> AsyncIterator[Talk]:
    """Begin it, and hand it the blob meanwhile; at the end it is killed with all that it began."""
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
    feeding = asyncio.create_task(_feed(process, blob))
    try:
        yield Talk(process)
    finally:
        feeding.cancel()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await asyncio.gather(feeding, return_exceptions=True)


class Talk:
    """What a process says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> dict[str, Any]:
        """Its next line, an object; empty if it has ended, or says something else."""
        if self._process.stdout is None:
            return {}
        try:
            return said_in(await self._process.stdout.readline())
        except ValueError:  # too long
            return {}


def head_of(blob: bytes) -> bytes:
    """What goes before a blob: eight bytes that say how long it is."""
    return len(blob).to_bytes(8, "big")


def said_in(line: bytes) -> dict[str, Any]:
    """A line as an object; empty if it is something else."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


async def _feed(process: asyncio.subprocess.Process, blob: bytes) -> None:
    if process.stdin is None:
        return
    try:
        process.stdin.write(head_of(blob))
        process.stdin.write(blob)
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        return  # it ended early: its last line says why
    finally:
        process.stdin.close()

"""The room's side of an engine process: begin it, ask it, kill it when it hangs, begin it again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
import structlog
from irp_bundle import Stage
from prometheus_client import Counter

from irp_inference.adapters.child_environment import child_environment
from irp_inference.adapters.tensor_block import Array, TensorBlock
from irp_inference.domain.errors import DeviceOutOfMemory, LogitsNotFinite, ModelCrashed, PassFailed

CRASHES = Counter("irp_inference_engine_crashes", "Engine processes that ended or were killed", ["why"])
LOAD_TIMEOUT_S = 300.0
LOST = {
    "hung": "the model took too long",
    "ended": "the model's process ended",
    "not loaded again": "the model could not be loaded again after its process ended",
}
LARGE = 4 << 20  # bytes from which tensors are copied in a thread: below, a thread costs more than the copy
T = TypeVar("T")


class EngineHost:
    """One engine process, which may hold several models; one question at a time.

    Args:
        timeout_s: a pass that takes longer is a hang: the process is killed.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._loads: dict[str, dict[str, Any]] = {}
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._linked = False  # there is a socket and a block
        self._log = structlog.get_logger(part="engines")

    @property
    def pid(self) -> int | None:
        """Of the process, if it lives."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def load(self, model: str, engine: str, options: dict[str, Any]) -> dict[str, Any]:
        """Load and warm up a model; what it costs and which batches it likes.

        Raises:
            ModelCrashed: the process ended.
            DeviceOutOfMemory: the model does not fit.
            PassFailed: the engine refuses the network.
        """
        question = {"ask": "load", "model": model, "engine": engine, "options": options}
        async with self._turn:
            await self._begin()
            answer = await self._ask(question, LOAD_TIMEOUT_S)
            self._loads[model] = question
        return answer

    async def unload(self, model: str) -> None:
        """Give a model's memory back; the process ends with its last model."""
        async with self._turn:
            known = self._loads.pop(model, None)
            if not self._loads:
                await self._end()
            elif known and self.pid is not None:
                await self._ask({"ask": "unload", "model": model}, self._timeout_s)

    async def forward(self, model: str, stage: Stage, inputs: Array) -> Array:
        """One pass.

        Raises:
            ModelCrashed: the process ended, or was killed because it hung; it begins anew with the next call.
            DeviceOutOfMemory, LogitsNotFinite, PassFailed: what the engine said.
        """
        async with self._turn:
            await self._begin()
            await self._copy(inputs)
            question = {"ask": "forward", "model": model, "stage": stage, "shape": inputs.shape}
            shape = (await self._ask(question, self._timeout_s))["shape"]
            return await self._result(shape)

    async def kill(self) -> None:
        """End the process at once."""
        async with self._turn:
            await self._end()

    async def _begin(self) -> None:
        """Have a process that holds every model."""
        if self.pid is not None:
            return
        await self._end()
        ours, theirs = socket.socketpair()
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        self._block, self._linked = TensorBlock(os.memfd_create("irp-tensors")), True
        try:
            with theirs:
                self._process = await self._spawned(theirs.fileno(), self._block.descriptor)
            for question in self._loads.values():
                await self._load_again(question)
        except asyncio.CancelledError:
            # Half begun, it would be asked for models that it does not hold.
            await asyncio.shield(self._end())
            raise

    async def _spawned(self, *descriptors: int) -> asyncio.subprocess.Process:
        command = [sys.executable, "-m", "irp_inference.adapters.host_child", *map(str, descriptors)]
        return await asyncio.create_subprocess_exec(
            *command, pass_fds=descriptors, stdin=asyncio.subprocess.DEVNULL, env=child_environment()
        )

    async def _load_again(self, question: dict[str, Any]) -> None:
        try:
            await self._ask(question, LOAD_TIMEOUT_S)
        except (DeviceOutOfMemory, LogitsNotFinite, PassFailed):
            await self._lost("not loaded again")

    async def _ask(self, question: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        try:
            self._writer.write(json.dumps(question).encode() + b"\n")
            line = await asyncio.wait_for(self._reader.readline(), timeout_s)
        except TimeoutError:
            await self._lost("hung")
        except (OSError, asyncio.CancelledError) as error:
            # A cancelled caller leaves an answer on its way: the next question must not read it.
            await asyncio.shield(self._end())
            if isinstance(error, asyncio.CancelledError):
                raise
            await self._lost("ended")
        if not line:
            await self._lost("ended")
        answer: dict[str, Any] = json.loads(line)
        _require_no_error(answer)
        return answer

    async def _lost(self, why: str) -> None:
        CRASHES.labels(why).inc()
        self._log.error("engine_process_lost", why=why, models=sorted(self._loads))
        await self._end()
        raise ModelCrashed(LOST[why])

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._linked:
            self._linked = False
            self._writer.close()
            self._block.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def _copy(self, inputs: Array) -> None:
        target = self._block.view(inputs.shape)
        if inputs.nbytes < LARGE:
            np.copyto(target, inputs)
        else:
            await _to_its_end(partial(np.copyto, target, inputs))

    async def _result(self, shape: list[int]) -> Array:
        answer = self._block.view(shape)
        return answer.copy() if answer.nbytes < LARGE else await _to_its_end(answer.copy)


async def _to_its_end(work: Callable[[], T]) -> T:
    """Work in a thread, which cannot be stopped: who is cancelled leaves when it has ended, for the block is shared."""
    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        raise


def _require_no_error(answer: dict[str, Any]) -> None:
    error = answer.get("error")
    if error == "memory":
        raise DeviceOutOfMemory
    if error == "not finite":
        raise LogitsNotFinite
    if error:
        raise PassFailed(f"the engine refused the pass ({answer.get('type', 'unknown')})")

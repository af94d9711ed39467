"""Several engine processes that hold the same models: a pass goes to the one that has least to do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from irp_bundle import Stage

from irp_inference.adapters.hosts import EngineHost
from irp_inference.adapters.tensor_block import Array


class HostPool:
    """One or more engine processes. One that ends harms its own pass; the others go on.

    Args:
        hosts: the processes.
    """

    def __init__(self, hosts: Sequence[EngineHost]) -> None:
        self._hosts = hosts
        self._busy = [0] * len(hosts)

    def __len__(self) -> int:
        return len(self._hosts)

    @property
    def pids(self) -> list[int]:
        """Of those that live."""
        return [pid for host in self._hosts if (pid := host.pid) is not None]

    async def load(self, model: str, engine: str, options: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Load a model into each; see EngineHost.load.

        Args:
            model: its name here.
            engine: which.
            options: for each process its own.

        Returns:
            What the first says, with the memory of all.
        """
        loads = [host.load(model, engine, own) for host, own in zip(self._hosts, options, strict=True)]
        answers = await asyncio.gather(*loads, return_exceptions=True)
        told: list[dict[str, Any]] = []
        for answer in answers:  # all have ended: nothing is loaded behind the back of who unloads now
            if isinstance(answer, BaseException):
                raise answer
            told.append(answer)
        return told[0] | {"resident": sum(answer["resident"] for answer in told)}

    async def unload(self, model: str) -> None:
        """See EngineHost.unload."""
        await asyncio.gather(*(host.unload(model) for host in self._hosts))

    async def forward(self, model: str, stage: Stage, inputs: Array) -> Array:
        """One pass; see EngineHost.forward."""
        number = min(range(len(self._hosts)), key=self._busy.__getitem__)
        self._busy[number] += 1
        try:
            return await self._hosts[number].forward(model, stage, inputs)
        finally:
            self._busy[number] -= 1

    async def kill(self) -> None:
        """End every process at once."""
        await asyncio.gather(*(host.kill() for host in self._hosts))

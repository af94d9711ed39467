"""An engine for the batches' tests: its right answer is arithmetic, and it counts its passes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from irp_bundle import Stage
from irp_inference.app.ports import Loaded
from numpy.typing import NDArray

Array = NDArray[np.float32]


class CountingNets:
    """Answers twice its input and the version; waits for `gate` before each pass; fails where it is told to."""

    engine, device, precision, precision_note, memory_bytes = "counting", "cpu", "float32", "", 0

    parked = False

    def __init__(self, version: int = 0, best_batch: int = 8, gated: bool = False) -> None:
        self.version, self.best_batch = version, best_batch
        self.passes: list[list[float]] = []  # first value of each input
        self.begun, self.gate = asyncio.Event(), asyncio.Event()
        if not gated:
            self.gate.set()
        self.fail: Callable[[Array], Exception | None] = lambda _: None

    async def forward(self, stage: Stage, inputs: Array) -> Array:
        self.passes.append([float(one.flat[0]) for one in inputs])
        self.begun.set()
        await self.gate.wait()
        error = self.fail(inputs)
        if error is not None:
            raise error
        return cast(Array, 2 * inputs + self.version)

    async def close(self) -> None:
        """Nothing to give back."""


def loaded(nets: CountingNets, name: str = "heart", version: int = 1) -> Loaded:
    """A model of these networks."""
    steps: Any = SimpleNamespace()
    return Loaded(name=name, version=version, digest=f"{name}{version}", steps=steps, nets=nets)


def an_input(value: float, rows: int = 1, side: int = 4) -> Array:
    """Inputs (rows, 1, side, side) that say who asked."""
    return np.full((rows, 1, side, side), value, np.float32)

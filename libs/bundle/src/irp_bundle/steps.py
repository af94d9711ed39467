"""Work that pauses where a network is needed: whoever drives it decides where and with whom the pass runs.

A pipeline is a generator that yields `Forward` and receives logits. Training runs each pass at once (`complete`);
the classification server puts passes of many requests into one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from irp_bundle.networks import Stage

T = TypeVar("T")

Engine = Callable[[Stage, NDArray[np.float32]], NDArray[np.float32]]
"""(stage, batch (N, C, *size)) -> logits (N, channels, *size), both float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Forward:
    """One forward pass that somebody shall run.

    Attributes:
        stage: which network of the bundle.
        inputs: float32 (N, C, *size), C contiguous.
    """

    stage: Stage
    inputs: NDArray[np.float32]


Steps = Generator[Forward, NDArray[np.float32], T]


def complete(steps: Steps[T], engine: Engine) -> T:
    """Run every pass at once on one engine; what the steps return."""
    try:
        asked = next(steps)
        while True:
            asked = steps.send(engine(asked.stage, asked.inputs))
    except StopIteration as end:
        result: T = end.value
        return result

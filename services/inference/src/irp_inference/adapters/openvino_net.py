"""A network in OpenVINO on a CPU: one input gets every core, several inputs go side by side, each on cores of its own.

Cores that share a pass wait for each other at every layer, and all of them for one that the machine took away. Side by
side none waits: 7 to 13 % less time per input on two cores, the same numbers.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDS = 2  # inputs of each side in a batch at least: the side that ends first waits for a smaller part of the pass
MOST_SIDES = 8  # inputs side by side at most: each holds activations of its own

Array = NDArray[np.float32]


class OpenvinoNet:
    """(N, C, *size) -> logits, both float32; the answer is valid until the next call.

    Args:
        core: of OpenVINO.
        path: of the exported network; its first axis is open.
        precision: "f32" or "bf16"; the default is bfloat16 where the processor has it: faster, but not the same answer.
        threads: CPU threads.

    Attributes:
        least_rows: a smaller batch is not worth forming.
    """

    def __init__(self, core: Any, path: str | Path, precision: str, threads: int) -> None:
        model, common = core.read_model(path), {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}
        self._wide = core.compile_model(model, "CPU", common | {"PERFORMANCE_HINT": "LATENCY"}).create_infer_request()
        sides = min(threads, MOST_SIDES)
        net = core.compile_model(model, "CPU", common | {"NUM_STREAMS": sides}) if sides > 1 else None
        self._sides = [net.create_infer_request() for _ in range(sides)] if net else []
        self._answer = np.empty(0, np.float32)
        self.least_rows = ROUNDS * sides if sides > 1 else 1

    def __call__(self, inputs: Array) -> Array:
        """As many inputs as fill every side go side by side; what is left shares all cores."""
        beside = len(inputs) - len(inputs) % len(self._sides) if self._sides else 0
        if beside == 0:
            return self._shared(inputs)
        try:
            first = self._side_by_side(inputs, beside)
        except BaseException:
            self._rest()
            raise
        if beside < len(inputs):
            first[beside:] = self._shared(inputs[beside:])
        return first

    def _shared(self, inputs: Array) -> Array:
        answer: Array = self._wide.infer([inputs], share_inputs=True, share_outputs=True)[0]
        return answer

    def _side_by_side(self, inputs: Array, count: int) -> Array:
        """Room for every answer, of which the first `count` are there."""
        sides = len(self._sides)
        for at in range(count):
            side = self._sides[at % sides]
            if at >= sides:
                self._take(at - sides, side, len(inputs))
            side.start_async([inputs[at : at + 1]], share_inputs=True)
        for at in range(count - sides, count):
            self._take(at, self._sides[at % sides], len(inputs))
        return self._answer

    def _rest(self) -> None:
        """Wait for every side: one that still works would refuse the next call, and reads inputs that are gone then."""
        for side in self._sides:
            with suppress(Exception):  # the first error is told
                side.wait()

    def _take(self, at: int, side: Any, rows: int) -> None:
        side.wait()
        logits = side.get_output_tensor(0).data
        if self._answer.shape != (rows, *logits.shape[1:]):
            self._answer = np.empty((rows, *logits.shape[1:]), np.float32)
        self._answer[at] = logits[0]

"""A pass recorded once and replayed: one launch instead of one per layer, where launching is what takes the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

ROWS = (1, 2, 4, 8, 16, 32)  # inputs of a recorded pass; fewer are filled up with what lies there
RECORDED = 12  # passes that are kept recorded, for each holds its own memory; others run as they are
WARM_UPS = 3  # libraries choose and allocate in the first passes, which cannot be recorded

Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class _Recorded:
    graph: torch.cuda.CUDAGraph
    inputs: Tensor
    logits: Tensor


class Graphs:
    """Runs a step by replaying it; its answer is valid until the next call.

    Args:
        step: the pass; always the same launches for one shape.
        device: a GPU.
    """

    def __init__(self, step: Step, device: torch.device) -> None:
        self._step, self._device = step, device
        # They never run together, so they may use the same memory; each keeps its own answer.
        self._pool = torch.cuda.graph_pool_handle()
        self._recorded: dict[tuple[int, ...], _Recorded] = {}

    def __call__(self, inputs: Tensor) -> Tensor:
        """(N, C, rows, columns) -> logits."""
        shape = (next((rows for rows in ROWS if rows >= len(inputs)), 0), *inputs.shape[1:])
        if shape not in self._recorded and (not shape[0] or len(self._recorded) >= RECORDED):
            return self._step(inputs)
        known = self._recorded.get(shape) or self._recorded.setdefault(shape, self._record(shape))
        known.inputs[: len(inputs)].copy_(inputs, non_blocking=True)
        known.graph.replay()
        return known.logits[: len(inputs)]

    def _record(self, shape: tuple[int, ...]) -> _Recorded:
        inputs = torch.zeros(shape, device=self._device)
        stream = torch.cuda.Stream(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                self._step(inputs)
        torch.cuda.current_stream(self._device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            logits = self._step(inputs)
        return _Recorded(graph, inputs, logits)

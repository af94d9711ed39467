"""Networks that run in torch inside an engine process, on a GPU or a CPU.

In: float32 (N, C, *size). Out: float32 logits. Knows nothing of bundles: whoever has the networks gives them.
TensorFloat-32 is off: it moves pixels on the border of a structure (docs/adr/0018).
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from irp_inference.adapters.cuda_graphs import Graphs
from irp_inference.adapters.tensor_block import Array

ROWS_AT_ONCE = 32  # inputs that a network is given at once; more go in pieces, so that their activations fit
AUTOCAST: Mapping[str, torch.dtype | None] = {"f32": None, "bf16": torch.bfloat16, "f16": torch.float16}

Step = Callable[[Tensor], Tensor]  # (N, C, *size) on the device -> float32 logits there


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaOptions:
    """What a GPU may do to be faster; docs/adr/0031 says what each brought. Without a GPU nothing of it is used.

    Attributes:
        channels_last: pixels beside their channels in memory.
        pinned: tensors cross in memory that the GPU reads by itself, and do not wait for each other.
        graphs: the launches of a pass are recorded once per number of inputs and given to the GPU as one.
        compiled: torch.compile; the first load takes minutes, and a C compiler must be there.
    """

    channels_last: bool = False
    pinned: bool = False
    graphs: bool = False
    compiled: bool = False


class TorchNetworks:
    """Answers logits in float32.

    Args:
        networks: by stage; float32, eval, on the CPU.
        device: "cpu", "cuda:0"...
        precision: "f32", or "bf16" and "f16" where torch thinks it safe (autocast).
        options: for GPUs.

    Attributes:
        least_rows: a smaller batch is not worth forming.
    """

    least_rows = 1

    def __init__(
        self,
        networks: Mapping[str, torch.nn.Module],
        device: str = "cpu",
        precision: str = "f32",
        options: CudaOptions | None = None,
    ) -> None:
        self._device = torch.device(device)
        self._options = options if options and self._device.type == "cuda" else CudaOptions()
        self._dtype = AUTOCAST[precision]
        if self._device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        self._steps = {stage: self._step(network) for stage, network in networks.items()}
        self._pinned: dict[str, Tensor] = {}

    def __call__(self, stage: str, inputs: Array) -> Array:
        """(N, C, *size) -> logits (N, channels, *size), valid until the next call."""
        step = self._steps[stage]
        with torch.inference_mode():
            if len(inputs) <= ROWS_AT_ONCE:
                return self._part(step, inputs)
            pieces = (inputs[at : at + ROWS_AT_ONCE] for at in range(0, len(inputs), ROWS_AT_ONCE))
            # Copied: the next piece's answer may lie where this one lies.
            return np.concatenate([self._part(step, piece).copy() for piece in pieces])

    def close(self) -> None:
        """Give the memory back."""
        self._steps.clear()
        self._pinned.clear()
        gc.collect()  # a recorded graph holds its memory until it is gone, and may lie in a cycle
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _step(self, network: torch.nn.Module) -> Step:
        flat = all(parameter.dim() < 5 for parameter in network.parameters())  # there is no such layout for volumes
        layout = torch.channels_last if self._options.channels_last and flat else torch.contiguous_format
        placed = network.to(self._device, memory_format=layout)  # type: ignore[call-overload]
        # A script may decide as it goes, which cannot be recorded, and is compiled already.
        scripted = isinstance(placed, torch.jit.ScriptModule)
        run = cast(Step, torch.compile(placed) if self._options.compiled and not scripted else placed)

        def step(inputs: Tensor) -> Tensor:
            with torch.autocast(self._device.type, self._dtype or torch.bfloat16, enabled=self._dtype is not None):
                return run(inputs.contiguous(memory_format=layout)).float()

        return Graphs(step, self._device) if self._options.graphs and not scripted else step

    def _part(self, step: Step, inputs: Array) -> Array:
        with _out_of_memory_returned(self._device):
            if not self._options.pinned:
                answer = step(torch.from_numpy(np.ascontiguousarray(inputs)).to(self._device)).contiguous().cpu()
                return cast(Array, answer.numpy())
            there = self._page_locked("inputs", inputs.shape)
            there.numpy()[...] = inputs
            logits = step(there.to(self._device, non_blocking=True)).contiguous()
            back = self._page_locked("logits", logits.shape)
            back.copy_(logits, non_blocking=True)
            torch.cuda.current_stream(self._device).synchronize()
            return cast(Array, back.numpy())

    def _page_locked(self, name: str, shape: Any) -> Tensor:
        count = int(np.prod(shape))
        if name not in self._pinned or self._pinned[name].numel() < count:
            self._pinned[name] = torch.empty(count, dtype=torch.float32, pin_memory=True)
        return self._pinned[name][:count].view(*shape)


@contextmanager
def _out_of_memory_returned(device: torch.device) -> Iterator[None]:
    """What a pass that did not fit had taken already is given back: the smaller one after it must find it."""
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        torch.cuda.empty_cache()
        raise

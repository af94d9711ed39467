"""The process in which networks run: tensors in shared memory, one JSON line per question and answer.

It is killed when it hangs, and ends with the room whatever happens to it. An OpenVINO process never imports torch.
Run: `python -m irp_inference.adapters.host_child SOCKET MEMORY`, two inherited file descriptors.
"""

from __future__ import annotations

import json
import math
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from irp_kernel.lifeline import end_with_parent

from irp_inference.adapters.openvino_net import OpenvinoNet, OpenvinoNets
from irp_inference.adapters.tensor_block import Array, TensorBlock

Run = Callable[[str, Array], Array]  # (stage, inputs) -> logits

TRIED_BATCHES = (1, 2, 4, 8, 16)
TRYING_S = 1.0  # for all sizes of one network
AROUND_S = 0.001  # what a pass costs around the network: copies, two lines of JSON, the room's turn
TURNS = 3
WORTH = 1.05  # a smaller batch is as good if it takes at most this much longer per input


class Host:
    """Answers questions until the socket ends."""

    def __init__(self, link: socket.socket, memory: TensorBlock) -> None:
        self._link, self._lines, self._memory = link, link.makefile("rb"), memory
        self._models: dict[str, Run] = {}

    def serve(self) -> None:
        """Until the room is gone."""
        for line in self._lines:
            question = json.loads(line)
            try:
                answer = getattr(self, f"on_{question.pop('ask')}")(**question)
            except MemoryError:
                answer = {"error": "memory"}
            except Exception as error:
                # The type only: a text may quote what was in the image.
                answer = {"error": "memory" if _is_memory(error) else "failed", "type": type(error).__name__}
            self._link.sendall(json.dumps(answer).encode() + b"\n")

    def on_load(self, model: str, engine: str, options: dict[str, Any]) -> dict[str, Any]:
        """Load, warm up, and say what it costs."""
        before = _resident()
        run, sizes = _loaders()[engine](**options)
        least = getattr(run, "least_rows", 1)
        best = {stage: _measure(run, stage, size, least) for stage, size in sizes.items()}
        self._models[model] = run
        return {"best": best, "resident": max(0, _resident() - before)}

    def on_unload(self, model: str) -> dict[str, Any]:
        """Give a model's memory back; on a CPU the process ends instead."""
        self._models.pop(model, None)
        if "torch" in sys.modules:
            import torch

            torch.cuda.empty_cache()
        return {}

    def on_forward(self, model: str, stage: str, shape: list[int]) -> dict[str, Any]:
        """One pass; the answer lies where the question lay."""
        inputs = self._memory.view(shape)
        logits = self._models[model](stage, inputs)
        if not np.isfinite(float(logits.min()) + float(logits.max())):
            return {"error": "not finite"}
        np.copyto(self._memory.view(logits.shape), logits)
        return {"shape": list(logits.shape)}


def _measure(run: Run, stage: str, size: list[int], least: int) -> dict[str, Any]:
    """Warm up, and find from how many inputs on a pass gains nothing: at least `least`.

    The sizes take turns, so that whatever else the machine does meanwhile hits all of them.
    """
    began = time.perf_counter()
    warm: dict[int, float] = {}
    for rows in TRIED_BATCHES:
        _per_input(run, stage, rows, size)
        warm[rows] = math.inf
        if rows >= least and time.perf_counter() - began > TRYING_S / 4:
            break
    for _ in range(TURNS):
        warm = {rows: min(known, _per_input(run, stage, rows, size)) for rows, known in warm.items()}
        if time.perf_counter() - began > TRYING_S:
            break
    enough = {rows: each for rows, each in warm.items() if rows >= least} or warm
    best = min(rows for rows, each in enough.items() if each <= WORTH * min(enough.values()))
    return {"rows": best, "row_s": enough[best]}


def _per_input(run: Run, stage: str, rows: int, size: list[int]) -> float:
    inputs = np.zeros((rows, *size), np.float32)
    began = time.perf_counter()
    run(stage, inputs)
    return (time.perf_counter() - began + AROUND_S) / rows


def _openvino(nets: dict[str, str], sizes: dict[str, list[int]], precision: str, threads: int) -> Any:
    import openvino as ov

    core = ov.Core()
    return OpenvinoNets({stage: OpenvinoNet(core, path, precision, threads) for stage, path in nets.items()}), sizes


def _torch(path: str, sizes: dict[str, list[int]], precision: str, threads: int, device: str) -> Any:
    import torch
    from irp_bundle import TorchEngine, read_bundle

    torch.set_num_threads(threads)
    with Path(path).open("rb") as file:
        engine = TorchEngine(read_bundle(file.read()), device, autocast=precision == "bf16")
    return engine, sizes


def _loaders() -> dict[str, Callable[..., tuple[Run, dict[str, list[int]]]]]:
    return {"openvino": _openvino, "torch": _torch}


def _is_memory(error: Exception) -> bool:
    """OpenVINO and torch say it in their own words."""
    return type(error).__name__ == "OutOfMemoryError" or "memory" in str(error).lower()


def _resident() -> int:
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def main() -> None:
    """Serve one room."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the room's business
    link = socket.socket(fileno=int(sys.argv[1]))
    Host(link, TensorBlock(int(sys.argv[2]))).serve()


if __name__ == "__main__":
    main()

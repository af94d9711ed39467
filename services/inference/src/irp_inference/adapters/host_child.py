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
from typing import Any, Protocol

import numpy as np
from irp_kernel.lifeline import end_with_parent

from irp_inference.adapters.tensor_block import Array, TensorBlock


class Networks(Protocol):
    """The networks of one model in this process."""

    @property
    def least_rows(self) -> int:
        """A smaller batch is not worth forming."""
        ...

    def __call__(self, stage: str, inputs: Array) -> Array:
        """One pass: logits, valid until the next one."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


TRIED_BATCHES = (1, 2, 4, 8, 16)
TRYING_S = 1.0  # for all sizes of one network
OUT_OF_MEMORY = ("out of memory", "alloc_failed", "bad_alloc", "not enough memory", "failed to allocate")
AROUND_S = 0.001  # what a pass costs around the network: copies, two lines of JSON, the room's turn
TURNS = 3
WORTH = 1.05  # a smaller batch is as good if it takes at most this much longer per input


class Host:
    """Answers questions until the socket ends."""

    def __init__(self, link: socket.socket, memory: TensorBlock) -> None:
        self._link, self._lines, self._memory = link, link.makefile("rb"), memory
        self._models: dict[str, Networks] = {}

    def serve(self) -> None:
        """Until the room is gone."""
        for line in self._lines:
            question = json.loads(line)
            try:
                answer = getattr(self, f"on_{question.pop('ask')}")(**question)
            except Exception as error:
                answer = _said(error)
            self._link.sendall(json.dumps(answer).encode() + b"\n")

    def on_load(self, model: str, engine: str, options: dict[str, Any]) -> dict[str, Any]:
        """Load, warm up, and say what it costs."""
        sizes = options.pop("sizes")
        before = _held(options["device"])
        networks = LOADERS[engine](**options)
        best = {stage: _measure(networks, stage, size) for stage, size in sizes.items()}
        self._models[model] = networks
        return {"best": best, "resident": max(0, _held(options["device"]) - before)}

    def on_unload(self, model: str) -> dict[str, Any]:
        """Give a model's memory back; on a CPU the process ends instead."""
        known = self._models.pop(model, None)
        if known is not None:
            known.close()
        return {}

    def on_forward(self, model: str, stage: str, shape: list[int]) -> dict[str, Any]:
        """One pass; the answer lies where the question lay."""
        inputs = self._memory.view(shape)
        logits = self._models[model](stage, inputs)
        if not np.isfinite(float(logits.min()) + float(logits.max())):
            return {"error": "not finite"}
        np.copyto(self._memory.view(logits.shape), logits)
        return {"shape": list(logits.shape)}


def _measure(run: Networks, stage: str, size: list[int]) -> dict[str, Any]:
    """Warm up, and find from how many inputs on a pass gains nothing: at least `least_rows`.

    The sizes take turns, so that whatever else the machine does meanwhile hits all of them.
    """
    began, least = time.perf_counter(), run.least_rows
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


def _per_input(run: Networks, stage: str, rows: int, size: list[int]) -> float:
    inputs = np.zeros((rows, *size), np.float32)
    began = time.perf_counter()
    run(stage, inputs)
    return (time.perf_counter() - began + AROUND_S) / rows


def _openvino(device: str, nets: dict[str, str], precision: str, threads: int) -> Networks:
    from irp_inference.adapters.openvino_networks import OpenVinoNetworks

    return OpenVinoNetworks(nets, precision, threads)


def _torch(device: str, path: str, precision: str, threads: int, cuda: dict[str, bool]) -> Networks:
    import torch
    from irp_bundle import read_bundle
    from irp_bundle.scripts import torch_network

    from irp_inference.adapters.torch_networks import CudaOptions, TorchNetworks

    torch.set_num_threads(threads)
    bundle = read_bundle(Path(path).read_bytes())
    networks: dict[str, torch.nn.Module] = {
        stage: network for stage in bundle.stages if (network := torch_network(bundle, stage)) is not None
    }
    return TorchNetworks(networks, device, precision, CudaOptions(**cuda))


LOADERS: dict[str, Callable[..., Networks]] = {"openvino": _openvino, "torch": _torch}


def _said(error: Exception) -> dict[str, Any]:
    """What the room is told; an error after which a GPU answers nothing any more ends the process."""
    memory = isinstance(error, MemoryError) or _is_memory(error)
    if not memory and type(error).__name__ == "AcceleratorError":
        raise error
    # The type only: a text may quote what was in the image.
    return {"error": "memory" if memory else "failed", "type": type(error).__name__}


def _is_memory(error: Exception) -> bool:
    """OpenVINO and torch say it in their own words."""
    text = str(error).lower()
    return type(error).__name__ == "OutOfMemoryError" or any(word in text for word in OUT_OF_MEMORY)


def _held(device: str) -> int:
    """Bytes that this process has of a device: of the system's memory, or of a GPU's."""
    if device == "cpu":
        return _resident()
    import torch

    return torch.cuda.memory_reserved(device) if torch.cuda.is_initialized() else 0


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

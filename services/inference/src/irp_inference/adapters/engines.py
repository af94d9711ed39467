"""Engines behind one port: torch (CUDA, CPU) and OpenVINO (CPU, float32), which must agree with torch when loaded."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov
import torch
from irp_bundle import Bundle, Engine, Stage, TorchEngine
from numpy.typing import NDArray

from irp_inference.domain.errors import EngineDisagrees

BATCH = 16  # slices per pass
TOLERANCE = 2e-3  # largest difference of logits over their largest magnitude


@dataclass(frozen=True, slots=True)
class Built:
    """An engine and where it runs."""

    run: Engine
    name: str
    device: str


class ThreadNets:
    """See app.ports.Nets: an engine in this process, one pass at a time."""

    best_batch = BATCH

    def __init__(self, built: Built, memory_bytes: int) -> None:
        self._run, self.engine, self.device, self.memory_bytes = built.run, built.name, built.device, memory_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nets")

    async def forward(self, stage: Stage, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """One pass in the engine's own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, stage, inputs)

    async def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False)


def build_engine(bundle: Bundle, wish: str, threads: int) -> Built:
    """The engine for a bundle, warmed up.

    Raises:
        EngineDisagrees: OpenVINO does not give what torch gives.
    """
    if torch.cuda.is_available() and wish in {"auto", "torch"}:
        return _warm(Built(TorchEngine(bundle, "cuda"), "torch", "cuda"), bundle)
    threads = threads or os.cpu_count() or 1
    if wish == "torch":
        torch.set_num_threads(threads)
        return _warm(Built(TorchEngine(bundle), "torch", "cpu"), bundle)
    built = Built(_openvino(bundle, threads), "openvino", "cpu")
    _require_agreement(built.run, TorchEngine(bundle), bundle)
    return built


def _openvino(bundle: Bundle, threads: int) -> Engine:
    core = ov.Core()
    # The default precision is bfloat16 where the processor has it: faster, but not the same answer.
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled: dict[Stage, Any] = {}
    for stage, size in _stages(bundle).items():
        example = torch.zeros(1, 1, size, size)
        model = ov.convert_model(bundle.build(stage), example_input=example, input=[-1, 1, size, size])
        compiled[stage] = core.compile_model(model, "CPU", options)

    def run(stage: Stage, images: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = [images[at : at + BATCH] for at in range(0, len(images), BATCH)]
        return np.concatenate([np.asarray(compiled[stage](part)[0], dtype=np.float32) for part in parts])

    return run


def _require_agreement(fast: Engine, true: Engine, bundle: Bundle) -> None:
    generator = np.random.default_rng(0)
    for stage, size in _stages(bundle).items():
        images = generator.normal(size=(3, 1, size, size)).astype(np.float32)
        expected, found = true(stage, images), fast(stage, images)
        worst = float(np.abs(expected - found).max() / max(1.0, float(np.abs(expected).max())))
        if not worst <= TOLERANCE:
            raise EngineDisagrees(f"stage {stage}: logits differ by {worst:.1e}, allowed are {TOLERANCE:.0e}")


def _warm(built: Built, bundle: Bundle) -> Built:
    for stage, size in _stages(bundle).items():
        built.run(stage, np.zeros((1, 1, size, size), np.float32))
    return built


def _stages(bundle: Bundle) -> dict[Stage, int]:
    sizes: dict[Stage, int] = {"locate": bundle.spec.locate.size, "segment": bundle.spec.segment.size}
    return {stage: sizes[stage] for stage in bundle.stages}

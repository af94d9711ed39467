"""OpenVINO on a CPU: a bundle's networks as its graphs, and an engine with the precision said explicitly.

Needs the package `openvino` (extra `openvino`); nothing else of this library does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openvino as ov
import torch
from numpy.typing import NDArray

from irp_bundle.bundle import Bundle
from irp_bundle.networks import Stage
from irp_bundle.reduced import HINT, Precision

BATCH = 8  # inputs per pass


def to_openvino(network: torch.nn.Module, size: tuple[int, ...]) -> ov.Model:
    """A network as an OpenVINO graph in float32 that takes any number of inputs (C, *size).

    Tracing holds Python's lock for seconds: not for a process that answers people.
    """
    return ov.convert_model(network, example_input=torch.zeros(1, *size), input=[-1, *size])


def from_onnx(data: bytes, size: tuple[int, ...]) -> ov.Model:
    """An ONNX file that was looked through (`onnx_file.py`), for any number of inputs (C, *size)."""
    model: ov.Model = ov.Core().read_model(data)
    model.reshape([-1, *size])
    return model


def numbers_in(graph: ov.Model) -> int:
    """How many numbers a graph has learnt, or holds as if it had: shapes are whole numbers, and do not count."""
    constants = (op for op in graph.get_ops() if op.get_type_name() == "Constant")
    return sum(int(np.prod(op.shape)) for op in constants if op.get_element_type().is_real())


def graphs_of(bundle: Bundle) -> dict[Stage, ov.Model]:
    """Every network of a bundle, from its weights; see `to_openvino`."""
    return {stage: to_openvino(bundle.build(stage), bundle.input_shape(stage)) for stage in bundle.stages}


class OpenVinoEngine:
    """See `irp_bundle.Engine`; computes as the classification server does on a CPU.

    Args:
        graphs: per stage, from `graphs_of` or changed from it.
        precision: what the processor computes in.
        threads: of one pass; 0 = every core.
    """

    name = "openvino"

    def __init__(
        self,
        graphs: Mapping[Stage, ov.Model],
        precision: Precision = "float32",
        *,
        threads: int = 0,
        batch: int = BATCH,
    ) -> None:
        # The default precision is bfloat16 where the processor has it: faster, but not the same answer.
        options = {
            "INFERENCE_PRECISION_HINT": HINT[precision],
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        core, self._batch = ov.Core(), batch
        self._requests = {
            stage: core.compile_model(graph, "CPU", options).create_infer_request() for stage, graph in graphs.items()
        }

    def __call__(self, stage: Stage, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, C, *size) -> logits (N, channels, *size), both float32."""
        request, answers = self._requests[stage], []
        for begin in range(0, len(batch), self._batch):
            part = np.ascontiguousarray(batch[begin : begin + self._batch])
            answers.append(request.infer([part], share_inputs=True, share_outputs=True)[0].copy())
        return np.concatenate(answers)


def graph_files(graph: ov.Model) -> tuple[bytes, bytes]:
    """A graph as its two files: xml and weights, in full float32 where it is not reduced."""
    with tempfile.TemporaryDirectory(prefix="irp-graph-") as folder:
        path = Path(folder) / "graph.xml"
        ov.save_model(graph, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def is_native(precision: Precision) -> bool:
    """True if this processor has instructions for it; else it is imitated, which is right and not fast."""
    return {"float32": "FP32", "bfloat16": "BF16", "int8": "INT8"}[precision] in _capabilities()


def processor() -> dict[str, object]:
    """What this machine computes with: its name, and the precisions it has instructions for."""
    return {
        "processor": str(ov.Core().get_property("CPU", "FULL_DEVICE_NAME")),
        "capabilities": _capabilities(),
        "openvino": ov.__version__.split("-")[0],
    }


def _capabilities() -> list[str]:
    return sorted(str(word) for word in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))

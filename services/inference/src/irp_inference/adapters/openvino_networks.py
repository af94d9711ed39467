"""Networks that OpenVINO runs on the CPU inside an engine process; never imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import openvino as ov

from irp_inference.adapters.tensor_block import Array


class OpenVinoNetworks:
    """Answers logits in float32.

    Args:
        nets: path of what OpenVINO reads, by stage.
        precision: "f32" or "bf16"; said, for the default is bfloat16 where the processor has it.
        threads: CPU threads.
    """

    def __init__(self, nets: Mapping[str, str], precision: str, threads: int) -> None:
        core = ov.Core()
        options = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._requests = {
            stage: core.compile_model(core.read_model(path), "CPU", options).create_infer_request()
            for stage, path in nets.items()
        }

    def __call__(self, stage: str, inputs: Array) -> Array:
        """(N, C, rows, columns) -> logits, valid until the next call."""
        return cast(Array, self._requests[stage].infer([inputs], share_inputs=True, share_outputs=True)[0])

    def close(self) -> None:
        """Give the memory back."""
        self._requests.clear()

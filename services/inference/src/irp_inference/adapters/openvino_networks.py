"""Networks that OpenVINO runs on the CPU inside an engine process; never imports torch."""

from __future__ import annotations

from collections.abc import Mapping

import openvino as ov

from irp_inference.adapters.openvino_net import OpenvinoNet
from irp_inference.adapters.tensor_block import Array


class OpenVinoNetworks:
    """Answers logits in float32.

    Args:
        nets: path of what OpenVINO reads, by stage.
        precision: "f32" or "bf16".
        threads: CPU threads.

    Attributes:
        least_rows: a smaller batch is not worth forming.
    """

    def __init__(self, nets: Mapping[str, str], precision: str, threads: int) -> None:
        core = ov.Core()
        self._nets = {stage: OpenvinoNet(core, path, precision, threads) for stage, path in nets.items()}
        self.least_rows = max(net.least_rows for net in self._nets.values())

    def __call__(self, stage: str, inputs: Array) -> Array:
        """(N, C, *size) -> logits, valid until the next call."""
        return self._nets[stage](inputs)

    def close(self) -> None:
        """Give the memory back."""
        self._nets.clear()

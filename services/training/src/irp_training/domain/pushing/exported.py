"""What runs bundles whose networks came as they run: a computation of the sandbox, never of a room."""

from __future__ import annotations

import torch
from irp_bundle import Bundle, Engine, Stage, TorchEngine, WeightsMissing, read_bundle
from irp_bundle.scripts import runnable, torch_network
from torch import Tensor, nn

from irp_training.domain.errors import NetworkMisbehaves


def engine_of(data: bytes, threads: int, *, openvino: bool) -> Engine:
    """What runs a bundle: torch, or OpenVINO, which an ONNX file needs.

    Raises:
        WeightsMissing: OpenVINO is wanted, and not installed.
    """
    bundle = read_bundle(data)
    return _openvino(bundle, threads) if openvino else TorchEngine(bundle, build=runnable)


def _openvino(bundle: Bundle, threads: int) -> Engine:
    try:
        from irp_bundle.openvino_engine import OpenVinoEngine, from_onnx, to_openvino
    except ImportError:
        raise WeightsMissing("an ONNX file is judged where OpenVINO is installed: extra int8") from None
    graphs = {}
    for stage in bundle.stages:
        network, size = torch_network(bundle, stage), bundle.input_shape(stage)
        onnx = bundle.exports.get(stage, {}).get("onnx", b"")
        graphs[stage] = from_onnx(onnx, size) if network is None else to_openvino(network, size)
    return OpenVinoEngine(graphs, threads=threads)


class OnnxNetwork(nn.Module):
    """An ONNX file as torch calls networks; it has no gradients.

    Attributes:
        numbers: that it holds.
    """

    def __init__(self, bundle: Bundle, stage: Stage) -> None:
        """Raises ImportError where OpenVINO is not installed, NetworkMisbehaves where it cannot read the file."""
        from irp_bundle.openvino_engine import OpenVinoEngine, from_onnx, numbers_in

        super().__init__()
        try:
            graph = from_onnx(bundle.exports[stage]["onnx"], bundle.input_shape(stage))
            self._engine, self.numbers = OpenVinoEngine({stage: graph}, threads=1), numbers_in(graph)
        except RuntimeError as cause:
            raise NetworkMisbehaves(
                "OpenVINO cannot read the ONNX file, or compute it for any number of inputs"
            ) from cause
        self._stage = stage

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, *size) -> logits."""
        return torch.from_numpy(self._engine(self._stage, images.detach().numpy()))

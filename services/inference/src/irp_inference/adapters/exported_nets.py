"""Every way in which a bundle says how its network runs: each must answer what the others answer.

The weights are the truth where there are any, then TorchScript, then ONNX. Runs in the exporting process alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import openvino as ov
import torch
from irp_bundle import Bundle, Stage
from irp_bundle.openvino_engine import OpenVinoEngine, from_onnx, to_openvino
from irp_bundle.scripts import open_script, torch_network

from irp_inference.adapters.tensor_block import Array
from irp_inference.adapters.torch_networks import TorchNetworks
from irp_inference.domain.difference import difference
from irp_inference.domain.errors import EngineDisagrees, LogitsNotFinite

TOLERANCE = 2e-3  # largest difference of logits over their largest magnitude, float32

Run = Callable[[Array], Array]


def openvino_model(bundle: Bundle, stage: Stage, inputs: Array, logits: Array) -> ov.Model | None:
    """The network for OpenVINO; None if it is a TorchScript file alone that OpenVINO does not understand.

    Args:
        bundle: whose.
        stage: which network.
        inputs: what it was asked.
        logits: what it answered: OpenVINO converts some scripts without an error to something else.
    """
    size = bundle.input_shape(stage)
    network, onnx = torch_network(bundle, stage), bundle.exports.get(stage, {}).get("onnx")
    if network is not None:
        try:
            model = to_openvino(network, size)
            if not bundle.learns(stage):
                _require_equal(OpenVinoEngine({stage: model})(stage, inputs), logits, "OpenVINO and TorchScript")
            return model
        except Exception:
            if bundle.learns(stage):
                raise
    return from_onnx(onnx, size) if onnx is not None else None


def agreed_logits(bundle: Bundle, stage: Stage, inputs: Array) -> Array:
    """Logits of the most trusted way, after all were compared.

    Raises:
        EngineDisagrees: two ways differ, or inputs change each other's answers, or the channels are others.
        LogitsNotFinite: numbers that are not finite.
    """
    runs = _runs(bundle, stage)
    first = next(iter(runs))
    expected = runs[first](inputs)
    if expected.shape != (len(inputs), bundle.logit_channels(stage), *inputs.shape[2:]):
        raise EngineDisagrees(f"stage {stage}: the {first} answers another shape than the bundle says")
    if not np.isfinite(expected).all():
        raise LogitsNotFinite
    for name, run in runs.items():
        if name != "weights":
            _require_equal(run(inputs), expected, f"stage {stage}: {first} and {name}")
            alone = np.concatenate([run(one[None]) for one in inputs])
            _require_equal(alone, expected, f"stage {stage}: {first} and {name} of one input at a time")
    return expected


def _runs(bundle: Bundle, stage: Stage) -> dict[str, Run]:
    runs: dict[str, Run] = {}
    exports = bundle.exports.get(stage, {})
    if bundle.learns(stage):
        runs["weights"] = _torch_run(bundle.build(stage), stage)
    if "torchscript" in exports:
        runs["torchscript"] = _torch_run(open_script(exports["torchscript"]), stage)
    if "onnx" in exports:
        onnx = OpenVinoEngine({stage: from_onnx(exports["onnx"], bundle.input_shape(stage))})
        runs["onnx"] = partial(onnx, stage)
    return runs


def _torch_run(network: torch.nn.Module, stage: Stage) -> Run:
    networks = TorchNetworks({stage: network})
    return lambda inputs: np.array(networks(stage, inputs))


def _require_equal(found: Array, expected: Array, who: str) -> None:
    if found.shape != expected.shape:
        raise EngineDisagrees(f"{who} answer different shapes")
    worst = difference(found, expected)
    if not worst <= TOLERANCE:
        raise EngineDisagrees(f"{who} differ by {worst:.1e}, allowed are {TOLERANCE:.0e}")

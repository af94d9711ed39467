"""What torch runs of a bundle. Opens TorchScript files: only in processes of engines, exports and sandboxes."""

from __future__ import annotations

import io
import warnings
from typing import cast

import torch

from irp_bundle.bundle import Bundle
from irp_bundle.errors import WeightsMissing
from irp_bundle.networks import Stage


def open_script(data: bytes) -> torch.nn.Module:
    """A TorchScript network as `read_bundle` gave it: float32, eval, on the CPU. Never called in a room's process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = torch.jit.load(io.BytesIO(data), map_location="cpu")
    return cast(torch.nn.Module, network.float().eval())


def torch_network(bundle: Bundle, stage: Stage) -> torch.nn.Module | None:
    """The network for torch: from the weights, else the TorchScript file; None if there is an ONNX file only."""
    if bundle.learns(stage):
        return bundle.build(stage)
    script = bundle.exports[stage].get("torchscript")
    return open_script(script) if script is not None else None


def runnable(bundle: Bundle, stage: Stage) -> torch.nn.Module:
    """The same, for an engine that needs one.

    Raises:
        WeightsMissing: there is an ONNX file only.
    """
    network = torch_network(bundle, stage)
    if network is None:
        raise WeightsMissing
    return network

"""Networks that a bundle carries ready to run, as ONNX or TorchScript, instead of or beside their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from irp_bundle.archive import Limits
from irp_bundle.errors import BundleBroken, ChannelsNotKnown
from irp_bundle.networks import ROLES, Stage
from irp_bundle.onnx_file import check_onnx
from irp_bundle.torchscript import clean_torchscript

Format = Literal["torchscript", "onnx"]

SUFFIXES: Mapping[Format, str] = {"torchscript": "ts", "onnx": "onnx"}
PATHS: Mapping[Stage, Mapping[Format, str]] = {
    stage: {kind: f"models/{role}.{suffix}" for kind, suffix in SUFFIXES.items()} for stage, role in ROLES.items()
}

Exports = dict[Stage, dict[Format, bytes]]


def read_exports(files: Mapping[str, bytes], limits: Limits) -> Exports:
    """Files of a bundle -> its exports, looked through; none is opened.

    Raises:
        BundleBroken, BundleUnsafe, BundleTooLarge, NetworkNotAllowed: see onnx_file and torchscript.
    """
    found: Exports = {}
    for stage, paths in PATHS.items():
        for kind, path in paths.items():
            if path in files:
                data = files[path]
                found.setdefault(stage, {})[kind] = clean_torchscript(data, limits) if kind == "torchscript" else data
    return found


def check_exports(exports: Exports, stage: Stage, size: tuple[int, ...], channels: int, limits: Limits) -> None:
    """What an ONNX file says of itself is what the bundle says. What a TorchScript file does is seen when it runs.

    Args:
        exports: of the bundle.
        stage: whose.
        size: one input: (channels, *size).
        channels: of the logits.
        limits: bounds.

    Raises:
        BundleBroken: its input is another.
        ChannelsNotKnown: it answers another number of channels.
    """
    data = exports.get(stage, {}).get("onnx")
    if data is None:
        return
    shape = check_onnx(data, limits)
    if len(shape.inputs) != 1 + len(size) or any(
        a not in {None, b} for a, b in zip(shape.inputs[1:], size, strict=True)
    ):
        raise BundleBroken("the ONNX file takes another size than irp_pipeline says", stage=stage)
    if len(shape.outputs) > 1 and shape.outputs[1] not in {None, channels}:
        raise ChannelsNotKnown("the ONNX file answers another number of channels", channels=channels)

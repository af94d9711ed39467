"""Networks by name from a list: a configuration chooses, it never imports."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Literal, cast

import torch

from irp_bundle.archive import DEFAULT_LIMITS, Limits
from irp_bundle.errors import BundleBroken, BundleTooLarge, NetworkNotAllowed

Stage = Literal["locate", "encode", "segment", "segment-2", "segment-3", "segment-4", "segment-5"]
MEMBERS: tuple[Stage, ...] = ("segment", "segment-2", "segment-3", "segment-4", "segment-5")
# Further members of an ensemble are models/model.2.pt, models/model.3.pt...
ROLES: Mapping[Stage, str] = {
    "locate": "locate",
    "encode": "encode",
    **{stage: f"model.{number}" if number > 1 else "model" for number, stage in enumerate(MEMBERS, 1)},
}

ALLOWED: Mapping[str, str] = {  # class -> its module in monai.networks.nets
    "UNet": "unet",
    "BasicUNet": "basic_unet",
    "DynUNet": "dynunet",
    "AttentionUnet": "attentionunet",
    "SegResNet": "segresnet",
}
MAX_DEPTH, MAX_ITEMS, MAX_WIDTH = 4, 16, 4096
ONE_SLICE = (1, 0, 0)  # one channel, two axes


def build_network(
    definition: object, limits: Limits = DEFAULT_LIMITS, *, inputs: tuple[int, ...] = ONE_SLICE
) -> torch.nn.Module:
    """A network with fresh weights from `{"_target_": "UNet", ...}`.

    Args:
        definition: class and arguments.
        limits: bounds.
        inputs: what the pipeline will give it, (channels, *size); only the numbers of channels and axes count.

    Raises:
        NetworkNotAllowed: another class, an argument that is no plain value, other inputs than the pipeline gives.
        BundleTooLarge: more parameters than allowed.
        BundleBroken: the class does not take these arguments.
    """
    make, arguments = _checked(definition, inputs)
    try:
        with torch.device("meta"):
            planned = sum(parameter.numel() for parameter in make(**arguments).parameters())
    except Exception as cause:
        raise BundleBroken("the network's arguments do not fit its class") from cause
    if planned > limits.parameters:
        raise BundleTooLarge("the network has too many parameters", limit_parameters=limits.parameters)
    return make(**arguments)


def definition_of(stage: Stage) -> str:
    """Where configs/inference.json describes a stage's network; an ensemble's members share one description."""
    return {"locate": "locate_def", "encode": "encode_def"}.get(stage, "network_def")


def out_channels(definition: Mapping[str, Any]) -> int:
    """Number of channels that a definition says that it answers; 0 = it does not say."""
    count = definition.get("out_channels", 0)
    return count if isinstance(count, int) else 0


def _checked(definition: object, inputs: tuple[int, ...]) -> tuple[Callable[..., torch.nn.Module], dict[str, Any]]:
    if not isinstance(definition, Mapping):
        raise BundleBroken("the network's definition is missing")
    name = str(definition.get("_target_", "")).removeprefix("monai.networks.nets.")
    if name not in ALLOWED:
        raise NetworkNotAllowed(f"allowed are {', '.join(ALLOWED)}")
    arguments = {str(key): value for key, value in definition.items() if key not in {"_target_", "_disabled_"}}
    make = _class(name)
    known = inspect.signature(make).parameters
    if set(arguments) - set(known):
        raise NetworkNotAllowed(f"arguments of {name} are {', '.join(known)}")
    for value in arguments.values():
        _check_plain(value, 0)
    channels, axes = inputs[0], len(inputs) - 1
    wanted = {"spatial_dims": axes, "in_channels": channels}
    if any(arguments.get(key, known[key].default) != value for key, value in wanted.items()):
        raise NetworkNotAllowed(f"this pipeline's network has spatial_dims {axes} and in_channels {channels}")
    return make, arguments


def _class(name: str) -> Callable[..., torch.nn.Module]:
    # Imported by who builds a network: MONAI costs seconds and 230 MiB, and who only runs pipelines needs none of it.
    module = import_module(f"monai.networks.nets.{ALLOWED[name]}")
    return cast("Callable[..., torch.nn.Module]", getattr(module, name))


def _check_plain(value: object, depth: int) -> None:
    if isinstance(value, str):
        plain = len(value) <= 64 and not value.startswith(("$", "@", "%", "_"))
    elif isinstance(value, Mapping):
        plain = depth < MAX_DEPTH and len(value) <= MAX_ITEMS and "_target_" not in value
        for inner in value.values():
            _check_plain(inner, depth + 1)
    elif isinstance(value, list):
        plain = depth < MAX_DEPTH and len(value) <= MAX_ITEMS
        for inner in value:
            _check_plain(inner, depth + 1)
    else:
        plain = value is None or (isinstance(value, (int, float)) and abs(value) <= MAX_WIDTH)
    if not plain:
        raise NetworkNotAllowed("arguments are plain numbers and words")


logging.getLogger("monai").setLevel(logging.WARNING)

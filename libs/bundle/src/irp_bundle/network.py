"""Networks by name from an allow-list: what a bundle says is data, never code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from monai.networks.nets.basic_unet import BasicUNet
from monai.networks.nets.dynunet import DynUNet
from monai.networks.nets.segresnet import SegResNet
from monai.networks.nets.unet import UNet
from torch import nn

from irp_bundle.errors import BundleNotSafe, NetworkNotOffered, WeightsDoNotFit

OFFERED: Mapping[str, Callable[..., nn.Module]] = {
    "UNet": UNet,
    "BasicUNet": BasicUNet,
    "DynUNet": DynUNet,
    "SegResNet": SegResNet,
}
MAX_PARAMETERS = 500_000_000
MAX_CHANNELS = 4096


def build_network(definition: Mapping[str, Any]) -> nn.Module:
    """The network that a `network_def` describes, with random weights.

    Raises:
        NetworkNotOffered: `_target_` is not in the list.
        BundleNotSafe: an argument is an expression or no plain value.
        WeightsDoNotFit: the network does not take these arguments.
    """
    name = str(definition.get("_target_", "")).rpartition(".")[2]
    if name not in OFFERED:
        raise NetworkNotOffered(f"offered are {', '.join(OFFERED)}")
    arguments = {key: value for key, value in definition.items() if not key.startswith("_")}
    for value in arguments.values():
        _require_plain(value)
    try:
        return OFFERED[name](**arguments)
    except (TypeError, ValueError, RuntimeError, AttributeError):
        raise WeightsDoNotFit(f"{name} does not take these arguments") from None


def _require_plain(value: Any, depth: int = 0) -> None:
    """Numbers, short plain text, and lists of them."""
    if isinstance(value, str) and (len(value) > 64 or value[:1] in "$@%"):
        raise BundleNotSafe("a network argument is an expression")
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) > MAX_CHANNELS:
        raise BundleNotSafe(f"a network argument is larger than {MAX_CHANNELS}")
    if isinstance(value, Mapping) or depth > 3:
        raise BundleNotSafe("a network argument is nested too deep")
    if isinstance(value, list):
        if len(value) > 64:
            raise BundleNotSafe("a network argument is too long")
        for item in value:
            _require_plain(item, depth + 1)

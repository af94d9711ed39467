"""Which layers of a net learn, and how fast: frozen ones not at all, others the slower the farther from the head.

Layers are counted as the net runs them, not as its class lists them: one pass of an example says their order, and where
its grid is coarsest, which is where an encoder ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from irp_training.domain.errors import BadRecipe

ENCODER = "encoder"  # in `frozen`: everything down to the coarsest grid


@dataclass(frozen=True, slots=True)
class Layer:
    """A module with parameters of its own, as it ran.

    Attributes:
        name: within the net.
        number: of the convolution that it is, or that ran before it; from 0.
        cells: pixels of what it answered.
    """

    name: str
    number: int
    cells: int


class Rates:
    """Follows from net, example and recipe alone.

    Args:
        net: that learns.
        image: (1, channels, row, column), on the net's device.
        frozen: names of modules, with everything below them, or ENCODER.
        decay: factor from one convolution to the one before it; 1 = all learn as fast as the head.

    Raises:
        BadRecipe: a name is no module's, or nothing would learn.
    """

    def __init__(self, net: nn.Module, image: Tensor, frozen: Sequence[str] = (), decay: float = 1.0) -> None:
        self._still: list[nn.Module] = []
        if not frozen and decay == 1.0:
            self.groups: list[dict[str, Any]] = [{"params": list(net.parameters()), "share": 1.0}]
            return
        layers = layers_of(net, image)
        still = _named(layers, frozen)
        modules = dict(net.named_modules())
        self._still = [modules[name] for name in still]
        last = max(layer.number for layer in layers)
        shares: dict[float, list[nn.Parameter]] = {}
        for layer in layers:
            own = list(modules[layer.name].parameters(recurse=False))
            for parameter in own:
                parameter.requires_grad_(layer.name not in still)
            if layer.name not in still:
                shares.setdefault(decay ** (last - layer.number), []).extend(own)
        if not shares:
            raise BadRecipe("`frozen` leaves nothing that learns")
        self.groups = [{"params": own, "share": share} for share, own in sorted(shares.items())]

    def keep_still(self) -> None:
        """After `net.train()`: what is frozen gathers no statistics either."""
        for module in self._still:
            module.eval()


def layers_of(net: nn.Module, image: Tensor) -> list[Layer]:
    """Modules with parameters of their own, in the order in which they run."""
    found: dict[str, Layer] = {}
    count = -1
    hooks = []

    def look(name: str, module: nn.Module, answer: Tensor) -> None:
        nonlocal count
        if name in found:
            return
        count += any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))
        found[name] = Layer(name, max(count, 0), answer.shape[2:].numel())

    for name, module in net.named_modules():
        if next(module.parameters(recurse=False), None) is not None:
            hooks.append(module.register_forward_hook(lambda m, _, answer, name=name: look(name, m, answer)))
    was = net.training
    try:
        with torch.no_grad():
            net.eval()(image)
    finally:
        net.train(was)
        for hook in hooks:
            hook.remove()
    return list(found.values())


def _named(layers: Sequence[Layer], frozen: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for prefix in frozen:
        if prefix == ENCODER:
            coarsest = min(layer.cells for layer in layers)
            end = max(place for place, layer in enumerate(layers) if layer.cells == coarsest)
            named = {layer.name for layer in layers[: end + 1]}
        else:
            named = {layer.name for layer in layers if f"{layer.name}.".startswith(f"{prefix}.")}
        if not named:
            first = ", ".join(layer.name for layer in layers[:4])
            raise BadRecipe(f"`frozen` names no layer: there are {ENCODER}, {first}...")
        found |= named
    return found

"""A net with other output channels that keeps what it learnt about the structures that stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def rechannel(
    old: Mapping[str, Tensor], fresh: Mapping[str, Tensor], wider: Mapping[str, Tensor], keep: Sequence[int | None]
) -> dict[str, Tensor]:
    """Weights for a net of the same design with other output channels, or with as many in another order.

    Args:
        old: weights of the trained net.
        fresh: new weights of the net to be filled.
        wider: weights of a net with one more output channel than that; only its shapes count.
        keep: for each new channel (0 is background) the old channel it continues, or None for a new one.

    Every axis on which `fresh` and `wider` differ is an axis of output channels: it is filled channel by channel.
    """
    return {
        name: _fit(old[name], tensor, wider[name], keep) if name in old else tensor for name, tensor in fresh.items()
    }


def _fit(old: Tensor, fresh: Tensor, wider: Tensor, keep: Sequence[int | None]) -> Tensor:
    axes = [axis for axis, (a, b) in enumerate(zip(fresh.shape, wider.shape, strict=True)) if a != b]
    if not axes:
        return old.clone()
    filled = fresh.clone()
    new_places = torch.tensor([place for place, source in enumerate(keep) if source is not None])
    old_places = torch.tensor([source for source in keep if source is not None])
    target: list[Tensor] = [torch.arange(n) for n in fresh.shape]
    source: list[Tensor] = [torch.arange(n) for n in fresh.shape]
    for axis in axes:
        target[axis], source[axis] = new_places, old_places
    filled[torch.meshgrid(*target, indexing="ij")] = old[torch.meshgrid(*source, indexing="ij")]
    return filled

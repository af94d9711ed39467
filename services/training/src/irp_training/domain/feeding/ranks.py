"""A run may be shared by several processes ("ranks"): each takes its share of every batch, and all learn the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn


class Ranks(Protocol):
    """What the ranks of a run say to one another. Every rank calls the same methods in the same order."""

    @property
    def rank(self) -> int:
        """Which of them the process is, from 0; rank 0 reports."""
        ...

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    @property
    def device(self) -> torch.device:
        """Where tensors lie that are summed."""
        ...

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of every rank's tensor, in place; the same on all ranks, bit by bit."""
        ...


class Alone:
    """One process: nothing to be said."""

    rank, size, device = 0, 1, torch.device("cpu")

    def sum(self, tensor: Tensor) -> Tensor:
        """The tensor itself."""
        return tensor


def share(ranks: Ranks, count: int) -> slice:
    """Places of the rank among `count`; all ranks' shares together are all places, each once."""
    return slice(count * ranks.rank // ranks.size, count * (ranks.rank + 1) // ranks.size)


def whole(ranks: Ranks, mine: Tensor, count: int) -> Tensor:
    """Every rank's share in its place.

    Args:
        ranks: who shares.
        mine: (share, ...): this rank's.
        count: length of the whole along the first axis.
    """
    if ranks.size == 1:
        return mine
    found = torch.zeros((count, *mine.shape[1:]), dtype=mine.dtype, device=mine.device)
    found[share(ranks, count)] = mine
    return ranks.sum(found)


def any_rank(ranks: Ranks, flag: bool) -> bool:
    """True on all ranks if it is on one."""
    if ranks.size == 1:
        return flag
    return bool(ranks.sum(torch.tensor([int(flag)], device=ranks.device)).item())


def agreed(ranks: Ranks, number: int) -> int:
    """Rank 0's number, on all ranks."""
    if ranks.size == 1:
        return number
    return int(ranks.sum(torch.tensor([number if ranks.rank == 0 else 0], device=ranks.device)).item())


def sum_gradients(ranks: Ranks, parameters: Iterable[nn.Parameter]) -> None:
    """Every rank's gradients are those of its share of one loss: their sum is the loss's gradient."""
    if ranks.size == 1:
        return
    taught = [parameter for parameter in parameters if parameter.grad is not None]
    flat = ranks.sum(torch.cat([p.grad.flatten() for p in taught if p.grad is not None]))
    for parameter, gradient in zip(taught, flat.split([p.numel() for p in taught]), strict=True):
        parameter.grad = gradient.view_as(parameter)

"""Structures that lie in others: scar and no-reflow are myocardium. Where nobody judged one, it is part of the other.

An expert who judged the wall and not its scar has said of every pixel whether it is wall, and of none whether it is
scar: the wall as drawn holds the scar. To teach or to count it as background would be to believe what nobody said.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

INSIDE = {"scar": "lv_myocardium", "no_reflow": "lv_myocardium"}  # part of

# By structure of a model, the channel of the one that it lies in, or 0; empty = none of them lies in another.
Enclosing = tuple[int, ...]


def enclosing(structures: Sequence[str]) -> Enclosing:
    """What each of a model's structures lies in."""
    return tuple(structures.index(INSIDE[name]) + 1 if INSIDE.get(name) in structures else 0 for name in structures)


def known_classes(judged: Tensor, inside: Enclosing = ()) -> Tensor:
    """The channel that each channel counts as: its own, that of what it lies in, or the background's.

    Args:
        judged: bool (..., structures).
        inside: see `enclosing`.

    Returns:
        int64 (..., 1 + structures).
    """
    background = torch.zeros_like(judged[..., :1], dtype=torch.int64)
    own = torch.arange(1, judged.shape[-1] + 1, device=judged.device) * judged
    known = torch.cat([background, own], dim=-1)
    around = torch.tensor(inside or (0,) * judged.shape[-1], device=judged.device)
    return torch.cat([background, torch.where(judged, own, known[..., around])], dim=-1)


def known_labels(labels: Tensor, judged: Tensor, inside: Enclosing = ()) -> Tensor:
    """Labels with every structure that was not judged turned into what it lies in, or into the rest (0).

    Args:
        labels: int64 (..., row, column).
        judged: bool (..., structures).
        inside: see `enclosing`.
    """
    return torch.gather(known_classes(judged, inside), -1, labels.flatten(-2)).view_as(labels)

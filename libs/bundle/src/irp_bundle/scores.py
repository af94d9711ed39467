"""Stage 2's word on crops or patches: one network's logits, or the mean probability of several looks and members.

Averages are of probabilities, and travel as their logarithm: the same for argmax and softmax as logits are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from irp_bundle.networks import Stage
from irp_bundle.steps import Forward, Steps
from irp_bundle.symmetry import IDENTITY, SYMMETRIES, Symmetry

ROWS_AT_ONCE = 64  # inputs per pass: bounds the memory, and a request that is cancelled stops between passes
LEAST = 1e-12  # probability whose logarithm stands for none


def ask(members: Sequence[Stage], augment: Sequence[str], inputs: NDArray[np.float32]) -> Steps[NDArray[np.float32]]:
    """Scores (N, channels, *size) of inputs (N, C, *size).

    Args:
        members: networks whose probabilities are averaged.
        augment: names of SYMMETRIES under which they look again.
        inputs: crops or patches; rows and columns are the last two axes.
    """
    looks = [IDENTITY, *(SYMMETRIES[name] for name in augment)]
    if len(members) == 1 and len(looks) == 1:
        return (yield Forward(members[0], inputs))
    total: NDArray[np.float32] | None = None
    for member in members:
        for some in _groups(looks, len(inputs)):
            turned = np.concatenate([look.apply(inputs) for look in some])
            logits = yield Forward(member, turned)
            for look, part in zip(some, np.split(softmax(logits), len(some)), strict=True):
                seen = look.undo(part)
                total = seen.copy() if total is None else total + seen
    assert total is not None  # noqa: S101 - there is one member and one look at least
    mean = np.ascontiguousarray(total) / np.float32(len(members) * len(looks))
    return np.asarray(np.log(np.maximum(mean, np.float32(LEAST))), dtype=np.float32)


def softmax(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores (N, channels, *size) -> probabilities, float32."""
    found: NDArray[np.float32] = torch.softmax(torch.from_numpy(scores), dim=1).numpy()
    return found


def _groups(looks: Sequence[Symmetry], rows: int) -> Iterator[Sequence[Symmetry]]:
    """So many looks together that a pass stays within ROWS_AT_ONCE, but one at least."""
    step = max(1, ROWS_AT_ONCE // max(1, rows))
    for begin in range(0, len(looks), step):
        yield looks[begin : begin + step]

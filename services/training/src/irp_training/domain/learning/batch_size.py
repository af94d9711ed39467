"""What a device's memory holds: how many slices a step may have, found by trying, and what is said if it holds none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from irp_training.domain.errors import OutOfMemory
from irp_training.domain.networks.mixed import Mixed
from irp_training.domain.samples.loss import partial_loss
from irp_training.domain.samples.stages import Sample

MOST = 64  # slices; beyond, a run has fewer steps than it needs, however large the memory
ON_A_CPU, PATCHES_ON_A_CPU = 12, 2  # slices, or patches of stacks; memory is no measure there


@contextlib.contextmanager
def memory_told() -> Iterator[None]:
    """Around what may need more memory than there is: PyTorch's own words stay in the process."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise OutOfMemory from None


def largest_that_fits(attempt: Callable[[int], object], most: int = MOST) -> int:
    """The largest power of two, up to `most`, with which the attempt does not run out of memory.

    Raises:
        OutOfMemory: none does.
    """
    size = 1 << (most.bit_length() - 1)
    while size:
        try:
            attempt(size)
        except torch.OutOfMemoryError:
            size //= 2
        else:
            return size
    raise OutOfMemory


def one_step(net: nn.Module, sample: Sample, amp: str, device: torch.device) -> Callable[[int], None]:
    """A forward and a backward pass over n copies of a sample: what a step takes most memory for."""
    mixed = Mixed(amp, device)
    image, labels, judged = (part.to(device) for part in sample)

    def attempt(size: int) -> None:
        net.zero_grad()
        many: Sequence[torch.Tensor] = [part.expand(size, *part.shape).contiguous() for part in (image, labels, judged)]
        with mixed.forward():
            logits = net(many[0])
        partial_loss(logits.float(), many[1], many[2]).backward()
        net.zero_grad()

    return attempt

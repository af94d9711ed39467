"""How one network of a bundle behaves: what it answers, whether it answers the same again, how far it sees, its speed.

Called in the sandbox alone: a network that came as TorchScript runs code of its own.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from irp_training.domain.errors import NetworkMisbehaves

SAME = 1e-3  # of the largest logit: sums are added up in another order when there are more inputs
NOTICED = 1e-3  # of the strongest influence
TIMED = (1, 8)  # inputs at once
TIMED_NUMBERS, SEEN_NUMBERS = 1 << 22, 1 << 19  # of inputs: more at once, or looked back into, take gigabytes in 3D
TIMING_S = 0.6  # seconds per number of inputs, after which nothing is measured again
TURNS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What was seen of one network.

    Attributes:
        inputs: of one image: (channels, rows, columns) or (channels, slices, rows, columns).
        answers: the same of its logits.
        parameters: numbers in it.
        sees: (rows, columns) around the middle that move the answer there by more than a thousandth of what the
            strongest of them does; what it has learnt, not what its layers would allow. (0, 0) = not measured, for
            the image is large, or the network has no gradients.
        other_sizes: it takes images that are a pixel smaller.
        ms_per_input: number at once -> milliseconds of one input, one thread; large ones alone only.
    """

    inputs: tuple[int, ...]
    answers: tuple[int, ...]
    parameters: int
    sees: tuple[int, int]
    other_sizes: bool
    ms_per_input: dict[str, float]


def observe(network: nn.Module, inputs: tuple[int, ...], channels: int) -> Behaviour:
    """Try a network out.

    Args:
        network: float32, eval, on the CPU.
        inputs: of one image, (channels, *size).
        channels: of the logits that the bundle promises.

    Raises:
        NetworkMisbehaves: another shape, numbers that are not finite, another answer the second time, or an answer
            that depends on what else was asked.
    """
    noise = torch.randn((2, *inputs), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        answer = _run(network, noise)
        expected = (2, channels, *inputs[1:])
        if tuple(answer.shape) != expected:
            raise NetworkMisbehaves(f"it answers {_size(answer.shape[1:])}, the bundle says {_size(expected[1:])}")
        _require_finite(answer, "noise")
        _require_finite(_run(network, torch.zeros_like(noise[:1])), "an empty image")
        if not torch.equal(_run(network, noise), answer):
            raise NetworkMisbehaves("it answers the same image differently the second time")
        alone = _run(network, noise[:1])
        if alone.shape != answer[:1].shape or (alone - answer[:1]).abs().max() > SAME * answer.abs().max():
            raise NetworkMisbehaves("its answer for an image depends on the others of its batch")
        timed = [rows for rows in TIMED if rows == 1 or rows * math.prod(inputs) <= TIMED_NUMBERS]
        speed = {str(rows): round(_per_input_ms(network, inputs, rows), 3) for rows in timed}
        other = _takes(network, noise[:1, ..., 1:, 1:])
    return Behaviour(
        inputs=inputs,
        answers=expected[1:],
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        sees=_sees(network, noise[:1]) if math.prod(inputs) <= SEEN_NUMBERS else (0, 0),
        other_sizes=other,
        ms_per_input=speed,
    )


def _run(network: nn.Module, images: Tensor) -> Tensor:
    try:
        answer = network(images)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except RuntimeError as cause:
        if "allocate" in str(cause):
            raise MemoryError from cause
        raise NetworkMisbehaves("it cannot compute an image of the size that the bundle says") from cause
    if not isinstance(answer, Tensor) or answer.dtype != torch.float32:
        raise NetworkMisbehaves("it answers something else than one tensor of float32")
    return answer


def _require_finite(answer: Tensor, what: str) -> None:
    if not bool(torch.isfinite(answer).all()):
        raise NetworkMisbehaves(f"its answer for {what} is not finite")


def _takes(network: nn.Module, images: Tensor) -> bool:
    try:
        return tuple(network(images).shape[2:]) == tuple(images.shape[2:])
    except (RuntimeError, ValueError):
        return False


def _sees(network: nn.Module, image: Tensor) -> tuple[int, int]:
    """By the gradient of the middle's logits."""
    image = image.clone().requires_grad_()
    answer = network(image)
    if not answer.requires_grad:
        return 0, 0
    middle = tuple(size // 2 for size in answer.shape[2:])
    answer[(0, slice(None), *middle)].square().sum().backward()
    if image.grad is None:
        return 0, 0
    influence = image.grad[0].abs().flatten(0, -3).amax(dim=0)
    felt = influence > NOTICED * influence.max()
    return _extent(felt.any(dim=1)), _extent(felt.any(dim=0))


def _extent(felt: Tensor) -> int:
    places = felt.nonzero()
    return int(places.max() - places.min()) + 1 if len(places) else 0


def _per_input_ms(network: nn.Module, inputs: tuple[int, ...], rows: int) -> float:
    images = torch.zeros((rows, *inputs))
    began, best = time.perf_counter(), _seconds(network, images)
    for _ in range(TURNS - 1):
        if time.perf_counter() - began > TIMING_S:
            break
        best = min(best, _seconds(network, images))
    return 1e3 * best / rows


def _seconds(network: nn.Module, images: Tensor) -> float:
    began = time.perf_counter()
    network(images)
    return time.perf_counter() - began


def _size(shape: torch.Size | tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))

"""A request's tensor: bytes or numbers from outside -> an array the network takes, or a reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irp_inference.adapters.oip_models import FP32, INPUT, OUTPUT
from irp_inference.domain.errors import TensorNotUsable

Pixels = NDArray[np.float32]
BIG_BYTES = 1 << 20
"""Larger arrays are looked through and copied beside the event loop."""
SHARED = "shared_memory_region"


def require_form(name: str, datatype: str, shape: Sequence[int], one: tuple[int, ...], max_batch: int) -> None:
    """Check what a request says of its tensor, before its values cost anything.

    Raises:
        TensorNotUsable: another name, type or shape.
    """
    if name != INPUT:
        raise TensorNotUsable(f"the model's only input is called {INPUT}")
    if datatype != FP32:
        raise TensorNotUsable(f"the model takes {FP32}")
    if len(shape) != 1 + len(one) or not 1 <= shape[0] <= max_batch or tuple(shape[1:]) != one:
        raise TensorNotUsable(f"the shape is (1 to {max_batch}, {', '.join(map(str, one))})")


def require_outputs(wanted: Sequence[tuple[str, set[str]]]) -> None:
    """Check the outputs a request names, each with the names of its parameters.

    Raises:
        TensorNotUsable: another output, or one in shared memory or as classes.
    """
    for name, parameters in wanted:
        if name != OUTPUT:
            raise TensorNotUsable(f"the model's only output is called {OUTPUT}")
        if "classification" in parameters:
            raise TensorNotUsable("classification is not offered: take the largest of the logits per pixel")
        require_no_region(parameters)


def require_no_region(parameters: Any) -> None:
    """Raise TensorNotUsable for a tensor in shared memory."""
    if SHARED in parameters:
        raise TensorNotUsable("shared memory is not offered: send raw_input_contents")


def from_bytes(raw: bytes | memoryview, shape: Sequence[int]) -> Pixels:
    """Little-endian float32, row by row; a view of the bytes.

    Raises:
        TensorNotUsable: more or fewer bytes than the shape has, or a number that is not finite.
    """
    if len(raw) != 4 * int(np.prod(shape, dtype=np.int64)):
        raise TensorNotUsable("the tensor's bytes do not fit its shape")
    return _finite(np.frombuffer(raw, "<f4").reshape(shape))


def from_numbers(numbers: Any, shape: Sequence[int]) -> Pixels:
    """A list of numbers, flat or nested like the shape.

    Raises:
        TensorNotUsable: not numbers, or not as many as the shape has.
    """
    try:
        array = np.asarray(numbers, np.float32)
    except (TypeError, ValueError, OverflowError):
        raise TensorNotUsable("the tensor's data are not numbers") from None
    if array.size != int(np.prod(shape, dtype=np.int64)):
        raise TensorNotUsable("the tensor's data do not fit its shape")
    return _finite(array.reshape(shape))


def to_bytes(logits: Pixels) -> bytes:
    """Little-endian float32, row by row: the one copy of an answer."""
    return logits.astype("<f4", copy=False).tobytes()


def _finite(array: Pixels) -> Pixels:
    if not np.isfinite(array).all():
        raise TensorNotUsable("the tensor holds numbers that are not finite")
    return array

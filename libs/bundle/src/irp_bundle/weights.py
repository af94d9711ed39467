"""Weights at rest: a plain state dictionary, float16, in PyTorch's own file; never a pickle that runs code."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping

import torch
from torch import Tensor

from irp_bundle.archive import Limits, check_stored_zip
from irp_bundle.errors import BundleBroken, BundleTooLarge, BundleUnsafe

StateDict = dict[str, Tensor]


def save_weights(state: Mapping[str, Tensor]) -> bytes:
    """State dictionary -> file bytes; floating tensors become float16. Equal weights give equal bytes.

    Raises:
        BundleBroken: a value is not finite, or beyond float16.
    """
    halves = {name: _half(tensor) for name, tensor in sorted(state.items())}
    buffer = io.BytesIO()
    torch.save(halves, buffer)
    return buffer.getvalue()


def load_weights(data: bytes, limits: Limits) -> StateDict:
    """File bytes -> state dictionary as stored.

    Raises:
        BundleBroken: not a state dictionary of finite tensors.
        BundleUnsafe: it holds something else than tensors.
        BundleTooLarge: more numbers than allowed.
    """
    check_stored_zip(data, limits)
    try:
        loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as cause:
        raise BundleUnsafe("a weights file holds more than tensors") from cause
    except Exception as cause:
        raise BundleBroken("a weights file cannot be read") from cause
    if isinstance(loaded, Mapping) and len(loaded) == 1 and isinstance(inner := loaded.get("model"), Mapping):
        loaded = inner  # as MONAI's CheckpointSaver writes it
    if not isinstance(loaded, Mapping) or not all(_is_plain(k, v) for k, v in loaded.items()):
        raise BundleBroken("a weights file is not a plain state dictionary")
    if sum(tensor.numel() for tensor in loaded.values()) > limits.parameters:
        raise BundleTooLarge("a weights file holds too many numbers", limit_parameters=limits.parameters)
    state = {name: tensor.detach().contiguous() for name, tensor in loaded.items()}
    if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
        raise BundleBroken("a weights file holds numbers that are not finite")
    return state


def _is_plain(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor) and value.layout == torch.strided


def _half(tensor: Tensor) -> Tensor:
    still = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    if not still.is_floating_point():
        return still
    half = still.half()
    if not bool(torch.isfinite(half).all()):
        raise BundleBroken("a weight is not finite, or beyond float16")
    return half

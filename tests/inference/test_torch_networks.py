"""What you learn here: the torch engine of a process: its precisions, its pieces, and which errors end the process."""

from __future__ import annotations

import json
import os
import socket

import numpy as np
import pytest
import torch
from irp_inference.adapters.host_child import Host
from irp_inference.adapters.tensor_block import Array, TensorBlock
from irp_inference.adapters.torch_networks import ROWS_AT_ONCE, CudaOptions, TorchNetworks


def a_network() -> torch.nn.Module:
    torch.manual_seed(2)
    return torch.nn.Conv2d(1, 3, 3, padding=1).eval()


def images(rows: int) -> Array:
    return np.random.default_rng(5).normal(size=(rows, 1, 16, 16)).astype(np.float32)


def test_many_inputs_go_in_pieces_and_come_back_in_order() -> None:
    rows = 2 * ROWS_AT_ONCE + 3
    answer = TorchNetworks({"segment": a_network()})("segment", images(rows))
    with torch.inference_mode():
        assert np.allclose(answer, a_network()(torch.from_numpy(images(rows))).numpy(), atol=1e-6)


def test_bfloat16_is_close_and_not_equal() -> None:
    exact = TorchNetworks({"segment": a_network()})("segment", images(4))
    rough = TorchNetworks({"segment": a_network()}, precision="bf16")("segment", images(4))
    assert rough.dtype == np.float32
    assert 0 < np.abs(exact - rough).max() < 5e-2


def test_what_a_gpu_may_do_changes_nothing_without_one() -> None:
    everything = CudaOptions(channels_last=True, pinned=True, graphs=True, compiled=True)
    plain = TorchNetworks({"segment": a_network()})("segment", images(2))
    assert np.array_equal(TorchNetworks({"segment": a_network()}, options=everything)("segment", images(2)), plain)


class Failing:
    """Networks that only fail."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __call__(self, stage: str, inputs: Array) -> Array:
        raise self._error

    def close(self) -> None:
        """Nothing to give back."""


def told(error: Exception) -> dict[str, str]:
    """What a room hears of an engine's error."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        host = Host(theirs, TensorBlock(os.memfd_create("test")))
        host._models["heart"] = Failing(error)
        question = {"ask": "forward", "model": "heart", "stage": "segment", "shape": [1, 1, 4, 4]}
        ours.sendall(json.dumps(question).encode() + b"\n")
        ours.shutdown(socket.SHUT_WR)
        host.serve()
        answer: dict[str, str] = json.loads(ours.recv(1000))
        return answer


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_a_full_device_is_said_so(error: Exception) -> None:
    assert told(error)["error"] == "memory"


def test_another_error_gives_its_kind_and_not_its_words() -> None:
    assert told(ValueError("pixel 17 of the memory of Jane Doe")) == {"error": "failed", "type": "ValueError"}


def test_an_error_after_which_a_gpu_is_lost_ends_the_process() -> None:
    with pytest.raises(torch.AcceleratorError):
        told(torch.AcceleratorError("CUDA error: an illegal memory access was encountered"))

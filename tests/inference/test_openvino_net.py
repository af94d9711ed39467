"""What you learn here: inputs that go side by side get what each of them gets alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from irp_inference.adapters.openvino_net import OpenvinoNet
from openvino import opset13 as ops


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolution whose first axis is open."""
    image = ops.parameter([-1, 1, 8, 8], np.float32)
    kernel = np.random.default_rng(0).normal(size=(3, 1, 3, 3)).astype(np.float32)
    answer = ops.convolution(image, ops.constant(kernel), [1, 1], [1, 1], [1, 1], [1, 1])
    path = tmp_path_factory.mktemp("net") / "net.xml"
    ov.save_model(ov.Model([answer], [image]), path, compress_to_fp16=False)
    return path


def images(rows: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(rows).normal(size=(rows, 1, 8, 8)).astype(np.float32)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7])
def test_every_input_gets_what_it_gets_alone(path: Path, threads: int, rows: int) -> None:
    core = ov.Core()
    # Said for both: where the processor has bfloat16, that is what it computes in unless it is told otherwise.
    alone = core.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    net = OpenvinoNet(core, path, "f32", threads)
    given = images(rows)
    expected = np.concatenate([np.array(alone(one[None])[0]) for one in given])
    for _ in range(2):
        assert np.allclose(net(given), expected, atol=1e-5)


def test_batches_hold_some_inputs_for_each_side(path: Path) -> None:
    core = ov.Core()
    assert OpenvinoNet(core, path, "f32", 1).least_rows == 1
    assert OpenvinoNet(core, path, "f32", 2).least_rows == 4

"""What you learn here: inputs that go side by side get what each of them gets alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


class Side:
    """Works until it is waited for, and refuses to be begun meanwhile, as OpenVINO does; some waits fail."""

    def __init__(self, side: Any, failures: int) -> None:
        self._side, self._failures, self.busy = side, failures, False

    def start_async(self, inputs: Any, *, share_inputs: bool) -> None:
        if self.busy:
            raise RuntimeError("Infer Request is busy")
        self.busy = True
        self._side.start_async(inputs, share_inputs=share_inputs)

    def wait(self) -> None:
        self._side.wait()
        self.busy = False
        if self._failures:
            self._failures -= 1
            raise RuntimeError("failed to allocate memory")

    def get_output_tensor(self, index: int) -> Any:
        return self._side.get_output_tensor(index)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_pass_that_fails_leaves_no_side_at_work_and_a_smaller_one_is_answered(path: Path, failing: int) -> None:
    net = OpenvinoNet(ov.Core(), path, "f32", 3)
    given = images(7)
    expected = net(given).copy()
    sides = net._sides = [Side(side, failures=number == failing) for number, side in enumerate(net._sides)]
    with pytest.raises(RuntimeError, match="failed to allocate"):
        net(given)
    assert not any(side.busy for side in sides)
    for part in (slice(0, 3), slice(3, 7)):
        assert np.array_equal(net(given[part]), expected[part])


def test_sides_that_were_never_begun_can_be_waited_for(path: Path) -> None:
    net = OpenvinoNet(ov.Core(), path, "f32", 2)
    with pytest.raises(RuntimeError):
        net(np.zeros((2, 3, 8, 8), np.float32))  # two channels too many
    assert net(images(2)).shape == (2, 3, 8, 8)

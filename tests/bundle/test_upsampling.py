"""What you learn here: a transposed convolution is a convolution and a rearrangement, and the answer is the same."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import openvino as ov
import pytest
import torch
from irp_bundle.networks import build_network
from irp_bundle.openvino_engine import to_openvino
from irp_bundle.upsampling import with_plain_convolutions
from torch import nn

TRANSPOSED = "ConvolutionBackpropData"


def kinds(graph: ov.Model) -> Counter[str]:
    return Counter(op.get_type_name() for op in graph.get_ops())


def require_equal(net: nn.Module, size: tuple[int, ...]) -> tuple[Counter[str], Counter[str]]:
    """The rewritten graph answers what the network answers, for one input and for several."""
    net = net.eval()
    graph = to_openvino(net, size)
    changed = with_plain_convolutions(graph)
    compiled = ov.Core().compile_model(changed, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for rows in (1, 3):
        inputs = np.random.default_rng(rows).normal(size=(rows, *size)).astype(np.float32)
        with torch.no_grad():
            wanted = net(torch.from_numpy(inputs)).numpy()
        found = np.array(compiled(inputs)[0])
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()
    return kinds(graph), kinds(changed)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "more"),
    [(3, 2, 1, 1), (2, 2, 0, 0), (4, 2, 1, 0), (5, 2, 2, 1), (3, 3, 0, 0), (5, 3, 1, 0), (1, 2, 0, 1), (7, 2, 3, 1)],
)
@pytest.mark.parametrize(("convolution", "size"), [(nn.ConvTranspose2d, (3, 8, 5)), (nn.ConvTranspose3d, (3, 4, 3, 5))])
def test_every_kernel_that_grows_the_grid_by_its_stride_is_written_as_a_convolution(
    convolution: Any, size: tuple[int, ...], kernel: int, stride: int, padding: int, more: int, bias: bool
) -> None:
    torch.manual_seed(kernel)
    net = convolution(3, 5, kernel, stride, padding, output_padding=more, bias=bias)
    before, after = require_equal(net, size)
    assert (before[TRANSPOSED], after[TRANSPOSED]) == (1, 0)
    assert (after["Convolution"], after["DepthToSpace"]) == (1, 1)


@pytest.mark.parametrize(
    "net",
    [
        nn.ConvTranspose2d(3, 5, 3, 2, 1),  # one row less than twice as many
        nn.ConvTranspose2d(3, 5, 3, 1, 1),  # a plain convolution in other words: nothing is gained
        nn.ConvTranspose2d(3, 5, 3, (1, 2), 1, output_padding=(0, 1)),
        nn.ConvTranspose2d(3, 5, 2, 2, 0, dilation=2),
        nn.ConvTranspose2d(4, 6, 2, 2, groups=2),
    ],
)
def test_what_does_not_fit_stays_as_it_is(net: nn.Module) -> None:
    before, after = require_equal(net, (4 if getattr(net, "groups", 1) == 2 else 3, 8, 5))
    assert before == after


def test_a_whole_u_net_answers_the_same_and_the_graph_given_is_not_changed() -> None:
    torch.manual_seed(0)
    net = build_network(
        {
            "_target_": "UNet",
            "spatial_dims": 2,
            "in_channels": 1,
            "out_channels": 4,
            "channels": [4, 8, 16],
            "strides": [2, 2],
            "num_res_units": 2,
        }
    )
    before, after = require_equal(net, (1, 32, 32))
    assert before[TRANSPOSED] == 2
    assert after[TRANSPOSED] == 0
    graph = to_openvino(net, (1, 32, 32))
    kept = kinds(graph)
    with_plain_convolutions(graph)
    assert kinds(graph) == kept

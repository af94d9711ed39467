"""Transposed convolutions as convolutions and a rearrangement, so that OpenVINO computes them at a reduced precision.

It has no int8 or bfloat16 kernels for transposed convolutions, and leaves them in float32: in a reduced U-Net a third
of the time. Where the stride is the factor by which the grid grows, each answer depends on few inputs, the same for
every answer of a phase (Shi et al., arXiv:1609.07009): one convolution answers all phases as channels, DepthToSpace
puts them where they belong. The numbers are the same but for the order of sums.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

Taps = list[list[tuple[int, int]]]  # of each phase along one axis: (input, relative to the phase's own; kernel)


def with_plain_convolutions(graph: ov.Model) -> ov.Model:
    """A graph that answers the same; what cannot be written so stays as it is. The one given is not changed."""
    changed = graph.clone()
    for node in changed.get_ordered_ops():
        if node.get_type_name() == "ConvolutionBackpropData" and _fits(node):
            _replace(node)
    changed.validate_nodes_and_infer_types()
    return changed


def _fits(node: Any) -> bool:
    said = node.get_attributes()
    strides = set(said["strides"])
    if len(strides) != 1 or strides == {1} or set(said["dilations"]) != {1} or said["auto_pad"] != "explicit":
        return False
    if node.get_input_size() != 2 or node.input_value(1).get_node().get_type_name() != "Constant":
        return False
    (stride,) = strides
    kernel = node.input_value(1).get_node().get_data().shape[2:]
    pads = zip(kernel, said["pads_begin"], said["pads_end"], said["output_padding"], strict=True)
    return all(size - begin - end + more == stride for size, begin, end, more in pads)


def _replace(node: Any) -> None:
    said, kernel = node.get_attributes(), node.input_value(1).get_node().get_data()
    stride = said["strides"][0]
    along = [_taps(size, stride, begin) for size, begin in zip(kernel.shape[2:], said["pads_begin"], strict=True)]
    weights, before, after = _as_convolution(kernel, along)
    whole = [1] * len(along)
    phases = ops.convolution(node.input_value(0), ops.constant(weights), whole, before, after, whole)
    last, bias = _bias_of(node)
    if bias is not None:  # added to the phases, it is a part of the convolution
        phases = ops.add(phases, ops.constant(np.tile(bias, (1, prod(said["strides"]), *whole))))
    answer = ops.depth_to_space(phases, "blocks_first", stride)
    answer.set_friendly_name(last.get_friendly_name())
    for reader in last.output(0).get_target_inputs():
        reader.replace_source_output(answer.output(0))


def _taps(size: int, stride: int, pad: int) -> Taps:
    """Answer o = stride * m + phase takes input i by kernel element k where o = stride * i - pad + k."""
    return [
        [((phase + pad - k) // stride, k) for k in range(size) if (phase + pad - k) % stride == 0]
        for phase in range(stride)
    ]


def _as_convolution(kernel: NDArray[np.float32], along: list[Taps]) -> tuple[NDArray[np.float32], list[int], list[int]]:
    """Weights (phases * channels out, channels in, *size); how many inputs they reach before and after their own."""
    reached = [[at for phase in taps for at, _ in phase] or [0] for taps in along]
    before, after = [max(0, -min(places)) for places in reached], [max(0, *places) for places in reached]
    size = [first + 1 + last for first, last in zip(before, after, strict=True)]
    channels_in, channels_out = kernel.shape[:2]
    weights = np.zeros((prod(len(taps) for taps in along), channels_out, channels_in, *size), kernel.dtype)
    for number, phase in enumerate(product(*along)):
        for places in product(*phase):
            here: tuple[Any, ...] = (..., *(at + first for (at, _), first in zip(places, before, strict=True)))
            there: tuple[Any, ...] = (..., *(k for _, k in places))
            weights[number][here] = kernel[there].T
    return weights.reshape(-1, channels_in, *size), before, after


def _bias_of(node: Any) -> tuple[Any, NDArray[np.float32] | None]:
    """What answers instead of the node where all that follows is adding a number per channel; and those numbers."""
    readers = [reader.get_node() for reader in node.output(0).get_target_inputs()]
    if len(readers) != 1 or readers[0].get_type_name() != "Add":
        return node, None
    bias, answer = readers[0].input_value(1).get_node(), node.get_output_partial_shape(0)
    per_channel = (1, answer[1].get_length(), *[1] * (len(answer) - 2))
    if bias.get_type_name() != "Constant" or bias.get_data().shape != per_channel:
        return node, None
    return readers[0], bias.get_data()

"""Post-training int8 calibration: an OpenVINO graph and inputs that it really sees -> the graph with roundings.

Recipes go from the fastest to the most careful; whoever judges takes the first that passes. Needs `nncf`, which is told
not to report home.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from irp_training.domain.errors import NotQuantisable, QuantiserMissing

CONVOLUTIONS = frozenset({"Convolution", "ConvolutionBackpropData", "GroupConvolution"})

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to reduce a network.

    Attributes:
        name: for the report.
        preset: "performance" = symmetric activations; "mixed" = asymmetric where that is nearer.
        float_levels: convolutions on that many of the finest grids stay float32.
    """

    name: str
    preset: Literal["performance", "mixed"]
    float_levels: int = 0


# Activations are clipped where a histogram says that it costs least: with their plain extremes the shipped cine net
# lost 0.005 Dice on a frozen validation set, so 0.0002.
RECIPES = (
    Recipe(name="symmetric", preset="performance"),
    Recipe(name="mixed", preset="mixed"),
    Recipe(name="mixed, finest grid in float32", preset="mixed", float_levels=1),
    Recipe(name="mixed, two finest grids in float32", preset="mixed", float_levels=2),
)


def quantise(graph: Any, inputs: Array, recipe: Recipe) -> Any:
    """The graph in int8; the one given stays as it is.

    Args:
        graph: `openvino.Model` with one input (N, C, *size).
        inputs: (N, C, *size), as the network sees them.
        recipe: how.

    Raises:
        QuantiserMissing: `nncf` is not installed.
        NotQuantisable: it does not know what to do with this network.
    """
    nncf = _nncf()
    estimator = nncf.quantization.range_estimator.RangeEstimatorParametersSet.HISTOGRAM
    advanced = nncf.AdvancedQuantizationParameters(activations_range_estimator_params=estimator)
    kept = finest(graph, recipe.float_levels)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it draws bars
            return nncf.quantize(
                graph.clone(),
                nncf.Dataset([inputs[row : row + 1] for row in range(len(inputs))]),
                preset=nncf.QuantizationPreset(recipe.preset),
                subset_size=len(inputs),
                ignored_scope=nncf.IgnoredScope(names=kept) if kept else None,
                advanced_parameters=advanced,
            )
    except Exception as cause:
        # A foreign library may stumble over a network in any way; none of them is this server's fault.
        raise NotQuantisable(kind=type(cause).__name__) from cause


def recipes_for(graph: Any) -> list[Recipe]:
    """Those that leave something of this network in int8."""
    return [recipe for recipe in RECIPES if len(finest(graph, recipe.float_levels)) < len(_pixels(graph))]


def finest(graph: Any, levels: int) -> list[str]:
    """Names of the convolutions whose answers lie on the so many finest grids."""
    pixels = _pixels(graph)
    chosen = sorted(set(pixels.values()), reverse=True)[:levels]
    return [name for name, grid in pixels.items() if grid in chosen]


def _pixels(graph: Any) -> dict[str, int]:
    return {op.get_friendly_name(): _grid(op) for op in graph.get_ops() if op.get_type_name() in CONVOLUTIONS}


def _grid(op: Any) -> int:
    """Pixels of what a convolution answers; 0 where that is not known."""
    shape = _rearranged(op).get_output_partial_shape(0)
    if shape.rank.is_dynamic or any(side.is_dynamic for side in list(shape)[2:]):
        return 0
    return int(np.prod([side.get_length() for side in list(shape)[2:]]))


def _rearranged(op: Any) -> Any:
    """Where it answers the phases of a finer grid (`irp_bundle.upsampling`), what puts them there; else itself."""
    after = op
    for _ in range(2):  # its numbers per channel may be added between
        readers = [reader.get_node() for reader in after.output(0).get_target_inputs()]
        if len(readers) != 1 or readers[0].get_type_name() not in {"Add", "DepthToSpace"}:
            return op
        after = readers[0]
        if after.get_type_name() == "DepthToSpace":
            return after
    return op


def _nncf() -> Any:
    os.environ["NNCF_CI"] = "1"  # its switch for sending nothing to its makers
    try:
        import nncf
        import nncf.quantization.range_estimator
    except ImportError:
        raise QuantiserMissing from None
    nncf.set_log_level(logging.ERROR)
    return nncf

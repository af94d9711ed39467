"""The nets of a run: built anew from the recipe, or taken over from a base, channel by channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from irp_bundle import (
    AS_STORED,
    SYMMETRIES,
    Bundle,
    PipelineSpec,
    SegmentSpec,
    WeightsMissing,
    build_network,
    read_spec,
)
from torch import nn

from irp_training.domain.errors import BadRecipe, PipelineNotLearnt
from irp_training.domain.networks.surgery import rechannel
from irp_training.domain.recipes.poolings import poolings
from irp_training.domain.recipes.recipe import FROM_SCRATCH, Recipe

Definition = dict[str, Any]
LOCATE_CHANNELS = 2  # background, left ventricle


def definitions(recipe: Recipe, structures: Sequence[str], base: Bundle | None) -> Definition:
    """`network_def`, `locate_def` and `irp_pipeline` of the bundle that the run will make.

    Raises:
        WeightsMissing: the base can be run, and not learnt further.
        PipelineNotLearnt: the lessons would show it other inputs than its pipeline gives.
        BadRecipe: `dimensions` is not the base's, or its net cannot halve the grid.
    """
    if base is not None:
        _require_same_dimensions(recipe, base)
    if base is not None and recipe.pipeline == "base":
        _require_learnable(base)
        keys = ("network_def", "locate_def", "irp_pipeline")
        config = {key: base.config[key] for key in keys if key in base.config}
        spec = _windowed(read_spec(config.get("irp_pipeline", {})), recipe)
        network = {**config["network_def"], "out_channels": 1 + len(structures)}
        if recipe.segment_size:
            _require_halves(network, spec.segment)
        return config | {"network_def": network, "irp_pipeline": spec.to_json()}
    spec = _windowed(PipelineSpec(), recipe)
    network = _taken_over(base, structures) if base else _segment_net(spec.segment, recipe, structures)
    _require_halves(network, spec.segment)
    return {
        "network_def": network,
        "locate_def": _unet(recipe.locate_channels, LOCATE_CHANNELS),
        "irp_pipeline": spec.to_json(),
    }


def fresh(definition: Definition, seed: int) -> nn.Module:
    """A net with random weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_network(definition, inputs=(1, *[0] * int(definition.get("spatial_dims", 2))))


def adopt(base: Bundle, definition: Definition, structures: Sequence[str], seed: int) -> nn.Module:
    """The base's second net, with the channels of `structures`."""
    net = fresh(definition, seed)
    old = base.build("segment")
    channels = list(base.channels)
    keep = [0, *(channels.index(name) if name in channels else None for name in structures)]
    wider = fresh({**definition, "out_channels": len(keep) + 1}, seed)
    net.load_state_dict(rechannel(old.state_dict(), net.state_dict(), wider.state_dict(), keep))
    return net


def _windowed(spec: PipelineSpec, recipe: Recipe) -> PipelineSpec:
    """The pipeline with the recipe's window, where the recipe names one."""
    return replace(
        spec,
        augment=_looks(recipe) if "segment" in recipe.stages else spec.augment,
        locate=replace(spec.locate, margin=recipe.window or spec.locate.margin),
        segment=_seen(spec.segment, recipe),
    )


def _seen(spec: SegmentSpec, recipe: Recipe) -> SegmentSpec:
    """What net 2 sees, with what the recipe says of it."""
    return replace(
        spec,
        dimension="3d" if recipe.dimensions == 3 else spec.dimension,
        size=recipe.segment_size or spec.size,
        depth=recipe.segment_depth or spec.depth,
        spacing=recipe.segment_spacing or spec.spacing,
        slice_spacing=recipe.slice_spacing or spec.slice_spacing,
        normalise=replace(spec.normalise, high=recipe.clip_percentile or spec.normalise.high),
    )


def _looks(recipe: Recipe) -> tuple[str, ...]:
    """Under which mirrors and turns a network that learns so is as good: those that its examples were shown in."""
    return tuple(SYMMETRIES) if recipe.augment > 0 and recipe.upright < 1 else ()


def _taken_over(base: Bundle, structures: Sequence[str]) -> Definition:
    """The base's second net for this platform's own pipeline: any 2D net that sees one slice at a time."""
    if not base.learns("segment"):
        raise WeightsMissing
    if base.spec.dimension != "2d" or base.spec.prompts is not None or len(base.members) > 1:
        raise PipelineNotLearnt("`pipeline` own takes one net that sees single slices")
    return {**base.config["network_def"], "out_channels": 1 + len(structures)}


def _require_learnable(base: Bundle) -> None:
    """Raise where there are no weights, or the lessons would show other inputs than the pipeline gives."""
    if not all(map(base.learns, base.exports)):
        raise WeightsMissing
    spec = base.spec
    stages = (spec.locate, spec.segment)
    if spec.prompts is not None:
        raise PipelineNotLearnt("masks teach nothing about marks: such a model is trained elsewhere, and pushed")
    if len(base.members) > 1:
        raise PipelineNotLearnt("the base is an ensemble")
    in_mm = spec.locate.spacing or (spec.segment.spacing and spec.segment.dimension != "3d")
    if spec.segment.slide or spec.segment.dimension == "2.5d" or spec.orientation != AS_STORED or in_mm:
        raise PipelineNotLearnt("the base's networks see neither single slices nor stacks of them as they are stored")
    if "locate" not in base.stages:
        raise PipelineNotLearnt("the base sees whole slices, and lessons show windows around the heart")
    if any(stage.normalise.absolute for stage in stages):
        raise PipelineNotLearnt("the base's networks see the image's own units")


def _require_same_dimensions(recipe: Recipe, base: Bundle) -> None:
    has = 3 if base.spec.dimension == "3d" else 2
    if recipe.dimensions not in (0, has):
        raise BadRecipe(f"the base sees {has} dimensions: leave `dimensions` out, or start from scratch")


def _require_halves(definition: Definition, spec: SegmentSpec) -> None:
    """A net's skip connections need a grid that every level halves exactly."""
    strides = definition.get("strides")
    if not isinstance(strides, list):
        return
    grid = spec.input_shape[1:]
    by = [math.prod(s[axis] if isinstance(s, list) else int(s) for s in strides) for axis in range(len(grid))]
    if any(n % factor for n, factor in zip(grid, by, strict=True)):
        raise BadRecipe(f"net 2 takes sizes that can be divided by {' x '.join(map(str, by))}")


def _segment_net(spec: SegmentSpec, recipe: Recipe, structures: Sequence[str]) -> Definition:
    """Net 2 built anew; what three dimensions leave open is as good as anything until it is configured."""
    channels, outputs = recipe.segment_channels or FROM_SCRATCH.segment_channels, 1 + len(structures)
    if spec.dimension != "3d":
        return _unet(channels, outputs)
    pixel = spec.spacing or 1.0
    spacing = (spec.slice_spacing or pixel, pixel, pixel)
    return _unet(channels, outputs) | {
        "spatial_dims": 3,
        "strides": poolings(spec.input_shape[1:], spacing, len(channels)),
    }


def _unet(widths: Sequence[int], out_channels: int) -> Definition:
    return {
        "_target_": "UNet",
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": out_channels,
        "channels": list(widths),
        "strides": [2] * (len(widths) - 1),
        "num_res_units": 2,
        "norm": "INSTANCE",
    }

"""Rules from a fingerprint to what a recipe left open: window, spacing, patch, network, batch, intensities.

In the manner of nnU-Net (Isensee et al., Nature Methods 18:203-211, 2021, "rule-based parameters"), with this
platform's two stages in place of whole images. Every value comes with its reason in words; a key that the recipe names
itself is never touched. Where the rules differ from nnU-Net's, and why: docs/adr/0038.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from irp_training.domain.errors import BadRecipe
from irp_training.domain.recipes.configured import Configured
from irp_training.domain.recipes.fingerprint import CLIPS, Fingerprint
from irp_training.domain.recipes.poolings import Strides, factors, padded, poolings, step_bytes, widths
from irp_training.domain.recipes.recipe import OPEN, SIZES, Recipe

ROOM = 1.1  # of the window, around what was drawn: stage 1 is never perfect
WINDOWS = (2.0, 3.5)  # box sizes
ANISOTROPIC = 3.0  # ratio of spacings, and of numbers of cells, from which the axis of the slices counts as coarse
FEWEST_PLANES = 3  # below, a third axis has nothing to say
CLIPPED_AT_MOST = 0.05  # share of what was drawn that a cut may take
MOST_IN_A_STEP = {2: 12, 3: 4}  # by number of axes: a pass needs steps
LEAST_BATCH = 2
DATASET_SHARE = 0.05  # of all that can be learnt from, in one step
GIB = 2**30
NAMED = "The recipe names it."


@dataclass(slots=True)
class _Decisions:
    """Values so far, and why."""

    recipe: Recipe
    chosen: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def choose(self, key: str, value: Any, why: str) -> Any:
        """The recipe's own value where it names one, else the rule's."""
        own = getattr(self.recipe, key)
        named = own != OPEN[key]
        self.chosen[key], self.reasons[key] = (own, NAMED) if named else (value, why)
        return self.chosen[key]


@dataclass(frozen=True, slots=True)
class _Grid:
    """What net 2 looks at, or is to look at: cells along each axis, mm between them, and why so many."""

    cells: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    why: str


def configure(fingerprint: Fingerprint, recipe: Recipe) -> Configured:
    """Close what the recipe leaves open.

    Args:
        fingerprint: of the training cases.
        recipe: with `configure` "fingerprint".

    Raises:
        BadRecipe: three dimensions, and series of one or two slices; or a net of as many levels as the recipe names
            does not fit into the memory.
    """
    made = _Decisions(recipe)
    window = made.choose("window", *_window(fingerprint))
    made.choose("clip_percentile", *_clip(fingerprint))
    region = (_stack if recipe.dimensions == 3 else _square)(made, fingerprint, window)
    cost = _network(made, region)
    made.choose("batch", *_batch(made, fingerprint, cost))
    return Configured(fingerprint=fingerprint.to_json(), chosen=made.chosen, reasons=made.reasons)


def _window(fingerprint: Fingerprint) -> tuple[float, str]:
    low, high = WINDOWS
    value = round(min(max(fingerprint.reach * ROOM, low), high), 1)
    return value, (
        f"In 95 of 100 series a window of {fingerprint.reach:.2f} ventricles holds all that was drawn; with a tenth "
        f"more, and from {low:g} to {high:g}, that is {value:g}."
    )


def _clip(fingerprint: Fingerprint) -> tuple[float, str]:
    """The lowest percentile that leaves what was drawn nearly whole; MR has no unit, so the rest is a z-score."""
    fits = [cut for cut in CLIPS if fingerprint.clipped[str(cut)] <= CLIPPED_AT_MOST]
    value = fits[0] if fits else CLIPS[-1]
    share = 100 * fingerprint.clipped[str(value)]
    return value, (
        f"Each window is cut at its percentile {value:g}, which takes {share:.1f} % of what was drawn; then its mean "
        "is subtracted and its standard deviation divides it, for intensities of MR have no unit."
    )


def _square(made: _Decisions, fingerprint: Fingerprint, window: float) -> _Grid:
    """In two dimensions: the window at the median spacing."""
    made.choose("segment_depth", 0, "Slices are seen one at a time.")
    made.choose("slice_spacing", 0.0, "Slices are seen one at a time.")
    made.choose("segment_spacing", 0.0, "The window fills the grid, so that every heart has the same size.")
    pixel, ventricle = fingerprint.pixel_mm, fingerprint.ventricle_mm
    side = math.ceil(window * ventricle / pixel)
    why = f"A window of {window:g} ventricles of {ventricle:.0f} mm is {side} pixels wide at the median {pixel:.2f} mm"
    return _Grid((side, side), (pixel, pixel), why)


def _stack(made: _Decisions, fingerprint: Fingerprint, window: float) -> _Grid:
    """In three: the square that holds every slice's window, through all slices, at the target spacing."""
    step = made.choose("slice_spacing", *_slice_spacing(fingerprint))
    pixel = made.choose(
        "segment_spacing", round(fingerprint.pixel_mm, 3), "The median of the training cases, within the plane."
    )
    planes = round(fingerprint.stack_mm / step) + 1
    if planes < FEWEST_PLANES:
        raise BadRecipe(
            f"half of the series have {planes} slices or fewer, of which `dimensions` 3 learns nothing: say 2"
        )
    side_mm = fingerprint.drift_mm + window * fingerprint.ventricle_mm
    side = math.ceil(side_mm / pixel)
    why = (
        f"The square that holds every slice's window is {side_mm:.0f} mm wide, {side} pixels of {pixel:g} mm, and a "
        f"series has {planes} slices {step:g} mm apart"
    )
    return _Grid((planes, side, side), (step, pixel, pixel), why)


def _slice_spacing(fingerprint: Fingerprint) -> tuple[float, str]:
    """Median; where the axis is coarse, the 10th percentile, so that fewer series lose what they have."""
    step, fine = fingerprint.spacing_mm[0], fingerprint.fine_spacing_mm[0]
    coarse = step > ANISOTROPIC * fingerprint.pixel_mm
    few = ANISOTROPIC * fingerprint.shape[0] < min(fingerprint.shape[1:])
    if not (coarse and few):
        return round(step, 3), "The median of the training cases, between slices."
    return round(fine, 3), (
        f"Slices lie {step:g} mm apart and pixels {fingerprint.pixel_mm:.2f} mm: along so coarse an axis the 10th "
        "percentile is taken, not the median."
    )


def _network(made: _Decisions, region: _Grid) -> int:
    """Patch, poolings and widths that go together; the bytes that one example takes."""
    recipe = made.recipe
    levels = len(recipe.segment_channels)
    limit = recipe.memory_gib * GIB / LEAST_BATCH
    cells = _divisible(recipe, region, _named_cells(recipe, region.cells))
    seen = {cells}
    while True:
        strides = poolings(cells, region.spacing_mm, levels)
        channels = recipe.segment_channels or widths(len(strides) + 1)
        cost = step_bytes(cells, strides, channels)
        fewer = _smaller(recipe, cells, region.cells, strides) if cost > limit else cells
        if fewer == cells:
            break
        cells = _divisible(recipe, region, fewer)
        if cells in seen:  # what is taken off comes back when the grid is brought to what can be halved
            raise BadRecipe(
                f"a grid of {' x '.join(map(str, cells))} cannot be made smaller and be halved {levels - 1} times, and "
                "two examples of it do not fit into `memory_gib`: fewer `segment_channels`, or more memory"
            )
        seen.add(cells)
    halved = " x ".join(map(str, factors(strides, len(cells))))
    shrunk = (
        f"; made smaller until two examples fit into {recipe.memory_gib:g} GiB" if _less(cells, region.cells) else ""
    )
    why = f"{region.why}; brought to what can be divided by {halved}{shrunk}."
    made.choose("segment_size", cells[-1], why)
    if recipe.dimensions == 3:
        made.choose("segment_depth", cells[0], why)
    made.choose("segment_channels", channels, _words_of(strides, channels))
    return cost


def _divisible(recipe: Recipe, region: _Grid, cells: tuple[int, ...]) -> tuple[int, ...]:
    """The grid that holds these cells and can be halved as the rules say."""
    strides = poolings(cells, region.spacing_mm, len(recipe.segment_channels), exact=False)
    return _named_cells(recipe, padded(cells, strides))


def _named_cells(recipe: Recipe, cells: tuple[int, ...]) -> tuple[int, ...]:
    """With what the recipe names itself, and within the bounds of a size."""
    side = recipe.segment_size or min(max(cells[-1], SIZES[0]), SIZES[1])
    return (*((recipe.segment_depth or cells[0],) if len(cells) == 3 else ()), side, side)


def _smaller(recipe: Recipe, cells: tuple[int, ...], wanted: tuple[int, ...], strides: Strides) -> tuple[int, ...]:
    """One step less along the axis that has most of what is wanted of it; the same where nothing can be taken."""
    by = factors(strides, len(cells))
    may_plane = not recipe.segment_size and cells[-1] - by[-1] >= SIZES[0]
    may_slices = len(cells) == 3 and not recipe.segment_depth and cells[0] - by[0] >= FEWEST_PLANES
    if may_plane and (not may_slices or cells[-1] / wanted[-1] >= cells[0] / wanted[0]):
        return (*cells[:-2], cells[-2] - by[-2], cells[-1] - by[-1])
    return (cells[0] - by[0], *cells[1:]) if may_slices else cells


def _less(cells: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return any(found < n for found, n in zip(cells, wanted, strict=True))


def _words_of(strides: Strides, channels: tuple[int, ...]) -> str:
    steps = ", ".join("x".join(map(str, stride)) for stride in strides)
    return (
        f"{len(strides)} times the grid is halved ({steps}), each axis until fewer than four cells would be left, "
        f"finer axes first; widths double up to {max(channels)}."
    )


def _batch(made: _Decisions, fingerprint: Fingerprint, cost: int) -> tuple[int, str]:
    """As memory allows, up to a bound, and never more than a share of the dataset."""
    recipe = made.recipe
    depth = made.chosen["segment_depth"] or 1
    fits = int(recipe.memory_gib * GIB // max(cost, 1))
    share = int(DATASET_SHARE * fingerprint.judged_slices / depth)
    most = MOST_IN_A_STEP[3 if recipe.dimensions == 3 else 2]
    value = max(LEAST_BATCH, min(fits, share, most))
    return value, (
        f"About {cost / GIB:.2f} GiB for one: {fits} fit into {recipe.memory_gib:g} GiB; {share} are 5 % of the "
        f"dataset; at most {most}, at least {LEAST_BATCH}."
    )

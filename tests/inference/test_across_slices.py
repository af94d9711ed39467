"""What you learn here: methods grow from slice to slice, by mm, alike in every direction, never through walls."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from irp_inference.app.grow_across import Going
from irp_inference.app.ports import Ticket, Turn
from irp_inference.domain.algorithms.marks import Box, Click, Marks, Scribble
from irp_inference.domain.algorithms.stack import Stack, StackMarks, around
from irp_inference.domain.algorithms.table import METHODS, method, method_across
from irp_inference.domain.algorithms.walk import FREE, INSIDE, OUTSIDE, reached_first
from irp_inference.domain.errors import PromptsNotValid, TooMuchToLookAt, VolumeNotOffered
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import random_walker

Volume = NDArray[np.float32]
Region = NDArray[np.bool_]
SPACING = (8.0, 1.5, 1.5)
SLICES, SIZE = 9, 64
Z, ROWS, COLUMNS = np.mgrid[:SLICES, :SIZE, :SIZE]
AXIS = np.hypot((ROWS - 32) * 1.5, (COLUMNS - 30) * 1.5)  # mm from the long axis
POOL = (AXIS < 22 - 2 * Z) & (Z < 8)  # a cavity that ends before the last slice
WALL = (AXIS < 32 - 2 * Z) & ~POOL
ANGLE = np.arctan2(ROWS - 32, COLUMNS - 30)
SCAR = WALL & (ANGLE > 0.3) & (ANGLE < 1.6) & (Z >= 2) & (Z <= 5)


def nobody_leaves() -> None: ...


def noisy(image: NDArray[Any], seed: int = 0) -> Volume:
    return (image + np.random.default_rng(seed).normal(0, 6, image.shape)).astype(np.float32)


def a_heart() -> Volume:
    return noisy(np.where(POOL, 220.0, np.where(WALL, 70.0, 130.0)))


def late_enhancement() -> Volume:
    """The scar's brightness falls from slice to slice."""
    return noisy(np.where(SCAR, 330.0 - 15 * Z, np.where(WALL, 60.0, 180.0)), seed=1)


def a_stack(image: Volume, spacing: tuple[float, ...] = SPACING) -> Stack:
    return Stack(image=image, spacing_mm=spacing, going=nobody_leaves)  # type: ignore[arg-type]


def dice(one: Region, two: Region) -> float:
    return float(2 * (one & two).sum() / (one.sum() + two.sum()))


INSIDE_CLICK = Click(row=32, column=30)
ONE_CLICK = StackMarks({3: Marks(clicks=[INSIDE_CLICK])})
BOTH = StackMarks({3: Marks(clicks=[INSIDE_CLICK, Click(row=32, column=55, inside=False)])})
REMOTE = Scribble(points=((32.0, 14.0), (36.0, 14.0)), inside=False, width=3)


@dataclass(frozen=True)
class Drawn:
    """Marks as arrays, which turn with the image."""

    inside: Region
    outside: Region
    has_boxes: bool = False

    def region(self, shape: tuple[int, ...], *, inside: bool) -> Region:
        return self.inside if inside else self.outside

    def boxed(self, shape: tuple[int, ...]) -> Region:
        return np.ones(shape, np.bool_)


@pytest.mark.parametrize(("name", "marks"), [("region-growing", ONE_CLICK), ("random-walker", BOTH)])
def test_a_cavity_is_found_in_every_slice_from_one_marked_slice(name: str, marks: StackMarks) -> None:
    found = method_across(name, {}).across(a_stack(a_heart()), marks, None)
    assert dice(found, POOL) >= 0.97
    assert not found[8].any()


def test_a_box_on_one_slice_bounds_every_slice() -> None:
    box = Box(row_first=28, column_first=26, row_last=36, column_last=34)
    marks = StackMarks({3: Marks(clicks=[INSIDE_CLICK], boxes=[box])})
    found = method_across("region-growing", {}).across(a_stack(a_heart()), marks, None)
    assert found[0].any()
    assert not found[:, :28].any()
    assert not found[:, :, 35:].any()


def test_nothing_grows_farther_than_its_reach_in_millimetres() -> None:
    flat = np.full((SLICES, SIZE, SIZE), 100, np.float32)
    found = method_across("region-growing", {"reach": 17}).across(a_stack(flat), ONE_CLICK, None)
    depth, rows, columns = (np.unique(axis) for axis in np.nonzero(found))
    assert (depth.min(), depth.max()) == (1, 5)  # 16 mm, not 24
    assert (rows.min(), rows.max()) == (32 - 11, 32 + 11)  # 16.5 mm
    assert columns.size == 23


@settings(max_examples=12, deadline=None)
@given(
    order=st.permutations(range(3)),
    flips=st.lists(st.booleans(), min_size=3, max_size=3),
    name=st.sampled_from(["region-growing", "random-walker"]),
    seed=st.integers(0, 5),
)
def test_a_turned_image_gives_the_turned_region(order: list[int], flips: list[bool], name: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(generator.normal(0, 1, (9, 12, 10)), 1.5)
    image = (100 * smooth / smooth.std()).astype(np.float32)
    inside, outside = np.zeros((2, *image.shape), np.bool_)
    inside[4, 6, 5] = True
    outside[ndimage.distance_transform_cdt(np.pad(np.ones(image.shape), 1))[1:-1, 1:-1, 1:-1] == 1] = True  # its hull

    def turned(array: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(np.flip(array.transpose(order), [axis for axis in range(3) if flips[axis]]))

    def found(image: Volume, inside: Region, outside: Region, spacing: tuple[float, ...]) -> Region:
        if name == "region-growing":
            marks = Drawn(inside, outside)
            return method_across(name, {"tolerance": 6}).across(a_stack(image, spacing), marks, None)
        seeds = np.where(inside, INSIDE, np.where(outside, OUTSIDE, FREE)).astype(np.uint8)
        return reached_first(image, seeds, spacing, 130.0, nobody_leaves)

    spacing = (4.0, 1.0, 2.0)
    straight = found(image, inside, outside, spacing)
    other = found(turned(image), turned(inside), turned(outside), tuple(spacing[axis] for axis in order))
    assert (turned(straight) != other).sum() <= (name == "random-walker")  # a voxel at exactly a half may round


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), tolerance=st.floats(0.5, 100), connectivity=st.sampled_from([4, 8]))
def test_a_region_never_crosses_a_closed_wall(seed: int, tolerance: float, connectivity: int) -> None:
    generator = np.random.default_rng(seed)
    centre, radius = generator.uniform(8, 12, 3), generator.uniform(4, 6)
    distance = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(np.mgrid[:20, :20, :20], centre, strict=True)))
    wall = (distance >= radius) & (distance < radius + 2)  # thick enough for every neighbourhood
    image = np.where(wall, 1e4, 100 + generator.normal(0, 3, wall.shape)).astype(np.float32)
    inside = np.zeros(wall.shape, np.bool_)
    inside[tuple(np.rint(centre).astype(int))] = True
    run = method_across("region-growing", {"tolerance": min(tolerance, 20), "connectivity": connectivity})
    found = run.across(a_stack(image, (1.0, 1.0, 1.0)), Drawn(inside, np.zeros_like(inside)), None)
    assert not (found & (distance >= radius)).any()


def test_the_walk_is_that_of_scikit_image_where_voxels_are_cubes() -> None:
    image = noisy(np.where(POOL, 220.0, 100.0))[:, 12:52, 10:50]
    seeds = np.zeros(image.shape, np.uint8)
    seeds[3, 20, 20], seeds[3, 1, 1] = INSIDE, OUTSIDE
    mine = reached_first(image, seeds, (1.0, 1.0, 1.0), 130.0, nobody_leaves)
    normed = (image - image.min()) / np.ptp(image)
    theirs = random_walker(normed.astype(np.float64), seeds.astype(np.int64), beta=130, mode="cg_j", tol=1e-8) == 1
    assert (mine != theirs).mean() < 1e-3


def test_where_nothing_holds_it_back_a_walk_goes_as_far_in_millimetres_in_every_direction() -> None:
    seeds = np.zeros((10, 3, 38), np.uint8)  # 38 mm in both directions
    seeds[:, :, 0], seeds[0, :, 1:] = INSIDE, OUTSIDE
    found = reached_first(np.ones(seeds.shape, np.float32), seeds, (4.0, 1.0, 1.0), 130.0, nobody_leaves)
    depth, _, column = np.mgrid[:10, :3, :38]
    from_outside, from_inside = 4.0 * depth, 1.0 * column
    sure = np.abs(from_outside - from_inside) > 2.5  # the border is the diagonal
    assert np.array_equal(found[sure], (from_outside > from_inside)[sure])


def test_the_same_question_has_the_same_answer() -> None:
    for name, marks in (("region-growing", ONE_CLICK), ("random-walker", BOTH)):
        first, second = (method_across(name, {}).across(a_stack(a_heart()), marks, None) for _ in range(2))
        assert np.array_equal(first, second)


def test_fwhm_takes_half_of_the_brightest_of_the_whole_myocardium() -> None:
    image = late_enhancement()
    together = method_across("fwhm", {}).across(a_stack(image), StackMarks({}), WALL)
    assert dice(together, SCAR) >= 0.98
    alone = np.stack([method("fwhm", {})(image[z], Marks(), WALL[z]) for z in range(SLICES)])
    assert (alone & ~SCAR)[[0, 1, 6, 7]].sum() > 100  # a slice without scar has a brightest pixel too


def test_remote_myocardium_on_one_slice_speaks_for_the_series() -> None:
    image, marks = late_enhancement(), StackMarks({3: Marks(scribbles=[REMOTE])})
    found = method_across("n-sd", {"n": 6}).across(a_stack(image), marks, WALL)
    assert dice(found, SCAR) >= 0.98
    with pytest.raises(PromptsNotValid):
        method_across("n-sd", {}).across(a_stack(image), StackMarks({3: Marks(clicks=[INSIDE_CLICK])}), WALL)


def test_in_one_slice_a_method_across_slices_answers_what_it_answers_in_the_slice() -> None:
    image, click = a_heart()[3], Marks(clicks=BOTH.by_slice[3].clicks)
    for name, marks in itertools.product(("region-growing", "threshold"), (click,)):
        across = method_across(name, {}).across(a_stack(image[None]), StackMarks({0: marks}), None)
        assert np.array_equal(across[0], method(name, {})(image, marks, None))


def test_methods_say_whether_they_work_across_slices() -> None:
    across = {name for name, known in METHODS.items() if known.across_slices}
    assert across == {"region-growing", "random-walker", "threshold", "n-sd", "fwhm"}
    with pytest.raises(VolumeNotOffered, match="random-walker"):
        method_across("graph-cut", {})


def test_too_many_voxels_are_refused_before_work_begins() -> None:
    marked = np.zeros((4, 50, 50), np.bool_)
    marked[0, 0, 0] = marked[3, 49, 49] = True
    with pytest.raises(TooMuchToLookAt):
        around(marked, (0, 0, 0), 9_999)
    assert around(marked, (5, 5, 5), 10_000) == (slice(0, 4), slice(0, 50), slice(0, 50))


def test_a_walk_ends_with_the_step_in_which_nobody_waits_any_more() -> None:
    seeds = np.zeros((5, 40, 40), np.uint8)
    seeds[2, 20, 20], seeds[0, 0, 0] = INSIDE, OUTSIDE
    image = noisy(np.zeros(seeds.shape))
    going = Going(Ticket(project="demo", turn=Turn(stale=True)))
    with pytest.raises(asyncio.CancelledError):
        reached_first(image, seeds, SPACING, 5000.0, going)
    left = Going(Ticket(project="demo"))
    left.stop()
    with pytest.raises(asyncio.CancelledError):
        reached_first(image, seeds, SPACING, 5000.0, left)
    with pytest.raises(TooMuchToLookAt, match="longer than"):
        reached_first(image, seeds, SPACING, 5000.0, Going(Ticket(project="demo"), longest_s=0))

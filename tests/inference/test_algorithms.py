"""What you learn here: conventional methods find shapes whose areas are known, and say which marks they need."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pytest
from irp_inference.domain.algorithms.marks import Box, Click, Marks, Scribble
from irp_inference.domain.algorithms.minimum_cut import STEPS, minimum_cut
from irp_inference.domain.algorithms.table import METHODS, method
from irp_inference.domain.errors import AlgorithmUnknown, ParametersNotValid, PromptsNotValid
from numpy.typing import NDArray
from skimage.segmentation import random_walker

SIZE = 96
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE]
DISTANCE = np.hypot(ROWS - 48, COLUMNS - 44)
DISK = DISTANCE < 15
RING = (DISTANCE >= 15) & (DISTANCE < 25)
ANGLE = np.arctan2(ROWS - 48, COLUMNS - 44)
SCAR = RING & (ANGLE > 0.5) & (ANGLE < 1.5)


def a_disk(noise: float = 5.0) -> NDArray[np.float32]:
    return (np.where(DISK, 200.0, 80.0) + np.random.default_rng(0).normal(0, noise, DISK.shape)).astype(np.float32)


def late_enhancement() -> NDArray[np.float32]:
    image = np.where(SCAR, 300.0, np.where(RING, 60.0, 180.0))
    return (image + np.random.default_rng(1).normal(0, 6, RING.shape)).astype(np.float32)


def dice(one: NDArray[np.bool_], two: NDArray[np.bool_]) -> float:
    return float(2 * (one & two).sum() / (one.sum() + two.sum()))


INSIDE = Marks(clicks=[Click(row=48, column=44)])
BOTH = Marks(clicks=[Click(row=48, column=44), Click(row=48, column=70, inside=False)])
AROUND = Marks(boxes=[Box(row_first=28, column_first=24, row_last=68, column_last=64)])
BOX_AND_CLICK = Marks(clicks=INSIDE.clicks, boxes=AROUND.boxes)
REMOTE = Marks(scribbles=[Scribble(points=((30.0, 44.0), (28.0, 50.0)), inside=False, width=3)])


@pytest.mark.parametrize(
    ("name", "marks", "least"),
    [
        ("region-growing", INSIDE, 0.99),
        ("random-walker", BOTH, 0.98),
        ("graph-cut", BOTH, 0.99),
        ("graph-cut", BOX_AND_CLICK, 0.99),
        ("geodesic-active-contour", INSIDE, 0.93),
        ("geodesic-active-contour", AROUND, 0.93),
        ("threshold", AROUND, 0.99),
    ],
)
def test_a_disk_is_found(name: str, marks: Marks, least: float) -> None:
    assert dice(method(name, {})(a_disk(), marks, None), DISK) >= least


def test_n_sd_and_fwhm_find_a_scar_of_known_area_in_the_myocardium() -> None:
    image = late_enhancement()
    assert dice(method("n-sd", {"n": 5})(image, REMOTE, RING), SCAR) >= 0.99
    assert dice(method("fwhm", {})(image, Marks(), RING), SCAR) >= 0.99
    assert not (method("fwhm", {})(image, Marks(), RING) & ~RING).any()


def test_fwhm_with_remote_myocardium_does_not_depend_on_where_zero_lies() -> None:
    shifted = late_enhancement() + np.float32(1000)
    assert dice(method("fwhm", {})(shifted, Marks(), RING), SCAR) < 0.5
    assert dice(method("fwhm", {})(shifted, REMOTE, RING), SCAR) >= 0.99


def test_a_dark_core_that_scar_encloses_belongs_to_it() -> None:
    core = np.hypot(ROWS - 64, COLUMNS - 54) < 2
    assert (core & SCAR).sum() == core.sum()
    image = np.where(core, 40.0, late_enhancement()).astype(np.float32)
    with_core = method("n-sd", {})(image, REMOTE, RING)
    without = method("n-sd", {"no_reflow": False})(image, REMOTE, RING)
    assert with_core[core].all()
    assert not without[core].any()


def test_fwhm_with_a_click_takes_only_what_is_connected_with_it() -> None:
    image = late_enhancement()
    other = RING & (ANGLE < -0.5) & (ANGLE > -1.0)
    image[other] = 310
    found = method("fwhm", {})(image, Marks(clicks=[Click(row=64, column=54)]), RING)
    assert dice(found, SCAR) >= 0.98
    assert not (found & other).any()


def test_the_random_walker_is_that_of_scikit_image() -> None:
    image = a_disk()
    marks = Marks(clicks=[Click(row=48, column=44), *(Click(row=r, column=2, inside=False) for r in range(2, 94, 4))])
    found = method("random-walker", {"margin": 256, "beta": 130})(image, marks, None)
    seeds = np.zeros(image.shape, np.int64)
    seeds[48, 44] = 1
    seeds[[0, -1], :] = seeds[:, [0, -1]] = 2
    for row in range(2, 94, 4):
        seeds[row, 2] = 2
    expected = random_walker((image - image.min()) / np.ptp(image), seeds, beta=130.0, mode="cg_j") == 1
    assert np.array_equal(found, expected)


def cost(region: NDArray[np.bool_], inside: Any, outside: Any, between: Any) -> int:
    """What a region costs, pair by pair."""
    total = int(inside[region].sum() + outside[~region].sum())
    for (down, right), costs in between.items():
        for row, column in np.ndindex(region.shape):
            other = (row + down, column + right)
            if other[0] < region.shape[0] and 0 <= other[1] < region.shape[1]:
                total += int(costs[row, column]) * bool(region[row, column] != region[other])
    return total


@pytest.mark.parametrize("seed", range(3))
def test_no_region_costs_less_than_the_minimum_cut(seed: int) -> None:
    generator = np.random.default_rng(seed)
    inside, outside = generator.integers(0, 50, (2, 3, 3)).astype(np.int32)
    between = {step: generator.integers(0, 40, (3, 3)).astype(np.int32) for step in STEPS}
    every = [np.array(labels).reshape(3, 3) for labels in itertools.product([False, True], repeat=9)]
    least = min(cost(region, inside, outside, between) for region in every)
    assert cost(minimum_cut(inside, outside, between), inside, outside, between) == least


def test_a_graph_cut_follows_a_weak_edge_between_alike_tissues_where_a_reader_says_so() -> None:
    image = np.where(DISK, 100.0, 96.0) + np.random.default_rng(2).normal(0, 0.8, DISK.shape)
    inside = Scribble(points=((42.0, 40.0), (54.0, 48.0)), width=3)
    outside = Scribble(points=((20.0, 20.0), (20.0, 70.0), (76.0, 70.0)), inside=False, width=3)
    found = method("graph-cut", {})(image.astype(np.float32), Marks(scribbles=[inside, outside]), None)
    assert dice(found, DISK) >= 0.98


def test_a_graph_cut_of_the_largest_part_takes_about_a_second_and_more_is_refused() -> None:
    image = np.random.default_rng(0).normal(100, 20, (300, 300)).astype(np.float32)
    near = [Click(row=100, column=100), Click(row=10, column=10, inside=False)]
    began = time.perf_counter()
    method("graph-cut", {"margin": 120})(image, Marks(clicks=near), None)
    assert time.perf_counter() - began < 10
    far = [Click(row=1, column=1), Click(row=298, column=298, inside=False)]
    with pytest.raises(PromptsNotValid):
        method("graph-cut", {})(image, Marks(clicks=far), None)


@pytest.mark.parametrize("name", ["region-growing", "random-walker", "graph-cut", "geodesic-active-contour"])
def test_what_was_marked_as_outside_never_belongs_to_it(name: str) -> None:
    marks = Marks(clicks=[Click(row=48, column=44), Click(row=48, column=50, inside=False)])
    assert not method(name, {})(a_disk(), marks, None)[48, 50]


@pytest.mark.parametrize(
    ("name", "marks"),
    [
        ("region-growing", Marks()),
        ("random-walker", INSIDE),
        ("graph-cut", INSIDE),
        ("graph-cut", AROUND),
        ("geodesic-active-contour", Marks()),
        ("n-sd", REMOTE),
        ("fwhm", Marks()),
        ("n-sd", AROUND),
    ],
)
def test_a_method_says_which_marks_it_needs(name: str, marks: Marks) -> None:
    with pytest.raises(PromptsNotValid):
        method(name, {})(a_disk(), marks, None)


BAD_MARKS = [
    Marks(clicks=[Click(row=SIZE, column=1)]),
    Marks(clicks=[Click(row=-0.5, column=1)]),
    Marks(clicks=[Click(row=float("nan"), column=1)]),
    Marks(clicks=[Click(row=1, column=1)] * 201),
    Marks(scribbles=[Scribble(points=((1.0, 1.0),) * 2001)]),
    Marks(scribbles=[Scribble(points=((1.0, 1.0),), width=1e9)]),
    Marks(boxes=[Box(row_first=0, column_first=0, row_last=5, column_last=1000)]),
]


@pytest.mark.parametrize("marks", BAD_MARKS)
def test_marks_that_cannot_be_are_refused(marks: Marks) -> None:
    with pytest.raises(PromptsNotValid):
        marks.require_on((SIZE, SIZE))


BAD_PARAMETERS: list[dict[str, Any]] = [{"tolerence": 1}, {"tolerance": "3"}, {"tolerance": 0}, {"connectivity": 9}]


@pytest.mark.parametrize("parameters", BAD_PARAMETERS)
def test_parameters_are_read_with_care(parameters: dict[str, Any]) -> None:
    with pytest.raises(ParametersNotValid):
        method("region-growing", parameters)
    with pytest.raises(AlgorithmUnknown):
        method("magic", {})


@pytest.mark.parametrize("name", METHODS)
def test_a_constant_image_is_no_reason_to_fail(name: str) -> None:
    flat = np.full((SIZE, SIZE), 7.0, np.float32)
    marks = Marks(clicks=BOTH.clicks, boxes=AROUND.boxes, scribbles=REMOTE.scribbles)
    assert method(name, {})(flat, marks, None).shape == flat.shape

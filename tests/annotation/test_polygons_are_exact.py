"""What you learn here: contours become pixels exactly, neighbours share no pixel, and pixels become contours again."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from irp_annotation.domain.polygon import rasterise, trace
from irp_kernel.outline import enclosed_area

SHAPE = (24, 30)
corner = st.tuples(st.floats(-3, 33), st.floats(-3, 27))


@given(arrays(bool, SHAPE))
def test_the_borders_of_a_region_give_the_region_back(region: np.ndarray) -> None:
    assert np.array_equal(rasterise(trace(region), SHAPE), region)


@given(st.lists(corner, min_size=3, max_size=8))
def test_two_polygons_that_share_an_edge_share_and_lose_no_pixel(corners: list[tuple[float, float]]) -> None:
    ring = np.array(corners)
    fan = [np.array([ring[0], ring[n], ring[n + 1]]) for n in range(1, len(ring) - 1)]
    parts = np.zeros(SHAPE, dtype=int)
    for triangle in fan:
        parts += rasterise([triangle], SHAPE)
    assert np.array_equal(parts % 2 == 1, rasterise([ring], SHAPE)), "even-odd of the whole is that of its parts"


@given(st.floats(5, 9), st.floats(11, 16), st.floats(9, 13))
def test_a_circle_covers_its_area(radius: float, column: float, row: float) -> None:
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    circle = np.column_stack([column + radius * np.cos(angles), row + radius * np.sin(angles)])
    pixels = rasterise([circle], (30, 30)).sum()
    assert abs(enclosed_area(circle) - np.pi * radius**2) < 0.02 * radius**2
    assert abs(pixels - enclosed_area(circle)) < 2 * np.sqrt(2 * np.pi * radius)


def test_a_centre_on_the_border_belongs_to_one_side_only() -> None:
    left = np.array([(1.0, 1.0), (4.0, 1.0), (4.0, 5.0), (1.0, 5.0)])
    right = left + np.array([3.0, 0.0])
    found = [rasterise([square], (8, 10)) for square in (left, right)]
    assert not (found[0] & found[1]).any()
    assert found[0].sum() == found[1].sum() == 3 * 4


def test_an_inner_polygon_is_a_hole() -> None:
    outer = np.array([(0.5, 0.5), (9.5, 0.5), (9.5, 9.5), (0.5, 9.5)])
    inner = np.array([(3.5, 3.5), (6.5, 3.5), (6.5, 6.5), (3.5, 6.5)])
    assert rasterise([outer, inner], (12, 12)).sum() == 81 - 9

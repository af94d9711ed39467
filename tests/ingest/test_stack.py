"""What you learn here: which images make a volume, in which order, and how a series says that it makes none."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from irp_ingest.domain.errors import (
    NotAssembled,
    SeriesHasNoPlane,
    SeriesMatrixMixed,
    SeriesOrientationMixed,
    SeriesPhasesUneven,
    SeriesPitchUneven,
    SeriesPositionRepeated,
)
from irp_ingest.domain.plane import Frame, Plane
from irp_ingest.domain.stack import Stack
from irp_ingest.domain.stack import arrange as arrange_frames


def a_plane(s: int, t: int, *, pitch_mm: float = 8.0, orientation: tuple[float, ...] = (1, 0, 0, 0, 1, 0)) -> Plane:
    normal = np.cross(orientation[:3], orientation[3:])
    x, y, z = (float(v) for v in normal * s * pitch_mm)
    return Plane(
        position_mm=(x, y, z),
        orientation=orientation,
        spacing_mm=(1.4, 1.4),
        matrix=(64, 64),
        time=40.0 * t + 0.7 * s,
        trigger=True,
        instance_number=0,
    )


def arrange(planes: Mapping[str, Plane | None]) -> Stack:
    """Single-frame instances by their UID."""
    return arrange_frames({Frame(uid): plane for uid, plane in planes.items()})


def uids(stack: Stack) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(frame.uid for frame in phase) for phase in stack.order)


def a_cine(slices: int = 5, phases: int = 4, **more: object) -> dict[str, Plane]:
    return {f"{s}.{t}": a_plane(s, t, **more) for s, t in itertools.product(range(slices), range(phases))}  # type: ignore[arg-type]


def test_phases_are_ranks_of_the_trigger_time_at_their_own_slice() -> None:
    stack = arrange(a_cine())
    assert stack.geometry.array_shape == (4, 5, 64, 64)
    assert uids(stack) == tuple(tuple(f"{s}.{t}" for s in range(5)) for t in range(4))
    assert stack.geometry.frame_times_ms == pytest.approx([1.4, 41.4, 81.4, 121.4])


@given(order=st.permutations(range(20)), tilt=st.floats(-3.1, 3.1), roll=st.floats(-3.1, 3.1))
@settings(max_examples=40, deadline=None)
def test_the_order_of_arrival_changes_nothing_and_any_orientation_does(
    order: list[int], tilt: float, roll: float
) -> None:
    row = (np.cos(tilt), np.sin(tilt), 0.0)
    column = (-np.sin(tilt) * np.cos(roll), np.cos(tilt) * np.cos(roll), np.sin(roll))
    planes = list(a_cine(orientation=(*map(float, row), *map(float, column))).items())
    stack = arrange(dict(planes[at] for at in order))
    assert stack.order == arrange(dict(planes)).order
    assert uids(stack)[0][0] == "0.0"
    assert stack.geometry.spacing_mm == pytest.approx((8.0, 1.4, 1.4))


def test_a_mirrored_stack_still_begins_at_the_lowest_slice() -> None:
    orientation = (1.0, 0, 0, 0, -1.0, 0)  # the normal points down
    planes = {f"z={z}": replace(a_plane(0, 0, orientation=orientation), position_mm=(0, 0, z)) for z in (0.0, 8.0, 16)}
    stack = arrange(planes)
    assert uids(stack) == (("z=16", "z=8.0", "z=0.0"),)
    assert np.linalg.det(stack.geometry.matrix[:3, [2, 1, 0]]) > 0


def test_a_hundredth_of_a_degree_is_the_same_orientation_and_more_is_not() -> None:
    def tilted(degree: float) -> dict[str, Plane]:
        angle = np.deg2rad(degree)
        turned = (float(np.cos(angle)), float(np.sin(angle)), 0.0, -float(np.sin(angle)), float(np.cos(angle)), 0.0)
        planes = a_cine(phases=1)
        planes["4.0"] = replace(planes["4.0"], orientation=turned)
        return planes

    assert arrange(tilted(0.009)).geometry.shape[0] == 5
    with pytest.raises(SeriesOrientationMixed):
        arrange(tilted(0.011))


def test_a_slice_at_the_end_with_fewer_phases_is_left_out_and_named() -> None:
    planes = a_cine()
    del planes["0.3"]
    stack = arrange(planes)
    assert stack.geometry.array_shape == (4, 4, 64, 64)
    assert stack.geometry.matrix[2, 3] == 8.0
    assert stack.left_out == "1 of 5 slice positions are left out: they do not have 4 phases"


def test_a_slice_in_the_middle_with_fewer_phases_would_leave_a_hole() -> None:
    planes = a_cine()
    del planes["2.3"]
    with pytest.raises(SeriesPhasesUneven):
        arrange(planes)


def test_phases_that_no_majority_agrees_on_are_no_volume() -> None:
    planes = a_cine(slices=3)
    for gone in ("1.3", "2.3", "2.2"):
        del planes[gone]
    with pytest.raises(SeriesPhasesUneven):
        arrange(planes)


def test_a_missing_slice_is_an_uneven_pitch() -> None:
    planes = {uid: plane for uid, plane in a_cine().items() if not uid.startswith("2.")}
    with pytest.raises(SeriesPitchUneven):
        arrange(planes)


def test_slices_shifted_in_their_plane_are_no_straight_stack() -> None:
    planes = a_cine(phases=1)
    planes["3.0"] = replace(planes["3.0"], position_mm=(5.0, 0.0, 24.0))
    with pytest.raises(SeriesPitchUneven):
        arrange(planes)


def test_images_in_one_place_at_one_time_are_not_phases() -> None:
    planes = {f"{s}.{echo}": replace(a_plane(s, 0), instance_number=echo) for s in range(3) for echo in range(2)}
    with pytest.raises(SeriesPositionRepeated):
        arrange(planes)


def test_without_times_the_instance_number_decides_if_the_header_says_how_many_phases_there_are() -> None:
    planes = {
        f"{s}.{t}": replace(a_plane(s, 0), time=0.0, trigger=False, instance_number=9 - t, phases_said=3)
        for s in range(2)
        for t in range(3)
    }
    stack = arrange(planes)
    assert uids(stack)[0] == ("0.2", "1.2")
    assert stack.geometry.frame_times_ms == ()


def test_two_matrices_are_no_volume() -> None:
    planes = a_cine(phases=1)
    planes["1.0"] = replace(planes["1.0"], matrix=(64, 32))
    with pytest.raises(SeriesMatrixMixed):
        arrange(planes)


@pytest.mark.parametrize("planes", [{}, {"a": None}, {"a": a_plane(0, 0), "b": None}])
def test_images_without_a_place_are_no_volume(planes: dict[str, Plane | None]) -> None:
    with pytest.raises(SeriesHasNoPlane):
        arrange(planes)


def test_one_image_is_a_volume_of_its_thickness() -> None:
    assert arrange({"a": replace(a_plane(0, 0), thickness_mm=6.0)}).geometry.spacing_mm[0] == 6.0


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(
    positions=st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=6),
    orientation=st.tuples(*[numbers] * 6),
    time=numbers,
)
@settings(max_examples=80, deadline=None)
def test_any_numbers_are_a_volume_or_a_reason(
    positions: list[tuple[float, float, float]], orientation: tuple[float, ...], time: float
) -> None:
    base = replace(a_plane(0, 0), orientation=orientation, time=time)
    with contextlib.suppress(NotAssembled):
        arrange({str(at): replace(base, position_mm=position) for at, position in enumerate(positions)})


def test_rows_and_columns_that_are_not_perpendicular_are_no_plane() -> None:
    leaning = (1.0, 0.0, 0.0, 0.6, 0.8, 0.0)
    with pytest.raises(SeriesHasNoPlane):
        arrange({"a": a_plane(0, 0, orientation=leaning)})

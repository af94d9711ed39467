"""What you learn here: where voxels lie, and how a foreign grid is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from irp_kernel import Geometry
from irp_kernel.errors import GeometryMismatch, InvalidArgument

finite = st.floats(-500, 500, allow_nan=False)
spacing = st.floats(0.1, 20)


def a_rotation(angles: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        turn = np.eye(3)
        first, second = [a for a in range(3) if a != axis]
        turn[first, first], turn[first, second], turn[second, first], turn[second, second] = c, -s, s, c
        matrix = matrix @ turn
    return matrix


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    turn = a_rotation(draw(st.tuples(finite, finite, finite)))
    return Geometry.from_dicom(
        position_mm=draw(st.tuples(finite, finite, finite)),
        row_direction=tuple(turn[:, 0]),
        column_direction=tuple(turn[:, 1]),
        spacing_mm=draw(st.tuples(spacing, spacing, spacing)),
        shape=draw(st.tuples(*[st.integers(1, 12)] * 3)),
        frames=draw(st.integers(1, 4)),
    )


@given(geometries(), st.tuples(finite, finite, finite))
def test_index_to_patient_and_back_is_the_same_index(geometry: Geometry, index: tuple[float, float, float]) -> None:
    there = geometry.to_patient(np.asarray(index))
    assert np.allclose(geometry.to_index(there), index, atol=1e-6)


@given(geometries())
def test_spacing_and_voxel_volume_come_from_the_affine(geometry: Geometry) -> None:
    assert np.isclose(geometry.voxel_mm3, np.prod(geometry.spacing_mm), rtol=1e-9)


def test_slice_zero_plus_one_pitch_lies_along_row_cross_column() -> None:
    geometry = Geometry.from_dicom(
        position_mm=(10.0, 20.0, 30.0),
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        spacing_mm=(8.0, 1.4, 1.3),
        shape=(9, 5, 7),
    )
    assert np.allclose(geometry.to_patient(np.array([1.0, 2.0, 3.0])), (10 + 3 * 1.3, 20 + 2 * 1.4, 38.0))


@pytest.mark.parametrize("shift_mm", [0.011, 5.0])
def test_a_grid_that_lies_elsewhere_is_refused(shift_mm: float) -> None:
    here = Geometry(shape=(2, 3, 4), affine=tuple(map(tuple, np.eye(4))))
    matrix = np.eye(4)
    matrix[2, 3] = shift_mm
    with pytest.raises(GeometryMismatch, match="mm apart"):
        here.require_same_grid(Geometry(shape=(2, 3, 4), affine=tuple(map(tuple, matrix))))


def test_a_flat_affine_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        Geometry(shape=(1, 1, 1), affine=tuple(map(tuple, np.diag([1.0, 0.0, 1.0, 1.0]))))

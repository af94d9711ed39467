"""What you learn here: the shipped model finds a real heart wherever it lies, because of its first stage.

Sunnybrook (CC0) was scanned at another hospital, by another maker, than the images the model learnt from.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from irp_bundle import Located, Pipeline, TorchEngine, dice_per_structure, read_bundle
from irp_bundle.boxes import whole
from irp_kernel import Geometry, Mask, Volume
from numpy.typing import NDArray
from openirp.demo.hearts import DICOM_PATIENTS

MOVED_PX = 60
WITHIN = 0.02
POOL = "lv_blood_pool"


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    bundle = read_bundle((Path(__file__).parents[2] / "models" / "cine.zip").read_bytes())
    return Pipeline(bundle, TorchEngine(bundle))


@pytest.fixture(scope="module", params=DICOM_PATIENTS)
def heart(request: pytest.FixtureRequest, real_heart: Callable[[str], tuple[Volume, Mask]]) -> tuple[Volume, Mask]:
    """The frames that the expert judged."""
    volume, truth = real_heart(request.param)
    frames = np.flatnonzero(truth.judged(POOL).any(axis=1))
    grid = Geometry(shape=volume.geometry.shape, affine=volume.geometry.affine, frames=len(frames))
    mask = Mask(geometry=grid, labels=truth.labels[frames], table=truth.table, annotated=truth.annotated[frames])
    return Volume(geometry=grid, array=volume.array[frames]), mask


def changed(heart: tuple[Volume, Mask], shape: tuple[int, int], row: int, column: int) -> tuple[Volume, Mask]:
    """Image and truth laid at (row, column) into a frame of `shape`; what falls outside is lost, air comes in."""
    volume, mask = heart
    grid = Geometry(
        shape=(volume.geometry.shape[0], *shape), affine=volume.geometry.affine, frames=volume.geometry.frames
    )

    def laid(array: NDArray, empty: int) -> NDArray:
        pad = max(shape)
        wide = np.pad(array, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=empty)
        return wide[..., pad - row : pad - row + shape[0], pad - column : pad - column + shape[1]]

    array, labels = laid(volume.array, int(volume.array.min())), laid(mask.labels, 0)
    return (
        Volume(geometry=grid, array=array),
        Mask(geometry=grid, labels=labels, table=mask.table, annotated=mask.annotated),
    )


def dice(pipeline: Pipeline, heart: tuple[Volume, Mask], located: Located | None = None) -> dict[str, float]:
    volume, truth = heart
    return dice_per_structure(pipeline.run(volume, located=located)[0], truth)


def test_an_unseen_hospital_is_segmented(pipeline: Pipeline, heart: tuple[Volume, Mask]) -> None:
    found = dice(pipeline, heart)
    assert found[POOL] > 0.9
    assert found["lv_myocardium"] > 0.75


@pytest.mark.parametrize(("row", "column"), [(MOVED_PX, 0), (-MOVED_PX, 0), (0, MOVED_PX), (0, -MOVED_PX)])
def test_a_moved_heart_keeps_its_dice(pipeline: Pipeline, heart: tuple[Volume, Mask], row: int, column: int) -> None:
    shape = heart[0].geometry.shape[1:]
    assert dice(pipeline, changed(heart, shape, row, column)) == pytest.approx(dice(pipeline, heart), abs=WITHIN)


def test_a_doubled_field_of_view_keeps_the_dice(pipeline: Pipeline, heart: tuple[Volume, Mask]) -> None:
    rows, columns = heart[0].geometry.shape[1:]
    wide = changed(heart, (2 * rows, 2 * columns), rows // 2, columns // 2)
    assert dice(pipeline, wide) == pytest.approx(dice(pipeline, heart), abs=WITHIN)


def test_without_the_first_stage_the_heart_is_lost(pipeline: Pipeline, heart: tuple[Volume, Mask]) -> None:
    rows, columns = heart[0].geometry.shape[1:]
    wide = changed(heart, (2 * rows, 2 * columns), rows // 2, columns // 2)
    everything = whole(heart[0].geometry.shape[0], (2 * rows, 2 * columns))
    lost, kept = dice(pipeline, wide, everything), dice(pipeline, heart)
    assert all(lost[name] < kept[name] - 0.2 for name in kept)

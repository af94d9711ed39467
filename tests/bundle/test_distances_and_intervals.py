"""What you learn here: surface distances are MONAI's, unknown is no background, and intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from irp_bundle import distances_per_structure, hd95, interval_over_patients, mean_surface_distance
from irp_kernel import Geometry, LabelTable, Mask
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from numpy.typing import NDArray

SPACING = (8.0, 1.5, 1.25)  # mm
POOL = LabelTable.canonical(("lv_blood_pool",))


def blobs(seed: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Two balls that do not quite agree."""
    random = np.random.default_rng(seed)
    z, y, x = np.mgrid[:5, :40, :40]

    def ball(radius: float) -> NDArray[np.bool_]:
        middle = np.array([2.0, 20.0, 20.0]) + random.uniform(-2, 2, 3)
        return np.asarray(((z - middle[0]) * 2.5) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2 < radius**2)

    return ball(9.0), ball(11.0)


def monai(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: tuple[float, ...]) -> tuple[float, float]:
    a, b = (torch.from_numpy(one)[None, None] for one in (predicted, truth))
    hausdorff = compute_hausdorff_distance(a, b, include_background=True, percentile=95, spacing=list(spacing))
    mean = compute_average_surface_distance(a, b, include_background=True, symmetric=True, spacing=list(spacing))
    return float(hausdorff), float(mean)


def a_mask(labels: NDArray[np.bool_], annotated: NDArray[np.bool_] | None = None) -> Mask:
    """(slice, row, column) and which slices somebody looked at."""
    affine = tuple(map(tuple, np.diag([*SPACING, 1.0])[:, [0, 1, 2, 3]].tolist()))
    geometry = Geometry(shape=labels.shape, affine=affine, frames=1)
    full = Mask.fully_annotated(geometry, labels[None].astype(np.uint8), POOL)
    if annotated is None:
        return full
    return Mask(geometry=geometry, labels=full.labels, table=POOL, annotated=annotated[None, :, None])


@pytest.mark.parametrize("seed", range(3))
def test_distances_are_those_of_monai_in_two_and_three_dimensions(seed: int) -> None:
    a, b = blobs(seed)
    assert (hd95(a, b, SPACING), mean_surface_distance(a, b, SPACING)) == pytest.approx(monai(a, b, SPACING))
    assert (hd95(a[2], b[2], SPACING[1:]), mean_surface_distance(a[2], b[2], SPACING[1:])) == pytest.approx(
        monai(a[2], b[2], SPACING[1:])
    )
    found = distances_per_structure(a_mask(a), a_mask(b))["lv_blood_pool"]
    assert (found.hd95_mm, found.assd_mm) == pytest.approx(monai(a, b, a_mask(a).geometry.spacing_mm))
    assert found.unmatched == 0


def test_a_slice_that_nobody_judged_ends_a_block_and_one_alone_is_measured_in_its_plane() -> None:
    a, b = blobs(0)
    looked = np.array([False, True, False, True, True])
    found = distances_per_structure(a_mask(a), a_mask(b, looked))["lv_blood_pool"]
    alone = monai(a[1], b[1], SPACING[1:])[0]
    assert 0 < found.hd95_mm <= max(alone, monai(a[3:], b[3:], SPACING)[0])


def test_where_one_mask_has_nothing_no_distance_is_made_up() -> None:
    a, b = blobs(0)
    assert distances_per_structure(a_mask(np.zeros_like(a)), a_mask(b)) == {}
    assert np.isnan(hd95(np.zeros_like(a), b, SPACING))
    a[4], b[4] = True, False
    looked = np.array([False, True, False, False, True])
    assert distances_per_structure(a_mask(a), a_mask(b, looked))["lv_blood_pool"].unmatched == 1


def test_an_interval_over_few_patients_holds_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    rounds, held = 200, 0
    for _ in range(rounds):
        patients = {str(n): random.normal(0, 1) + random.normal(0, 0.3, 3) for n in range(6)}
        interval = interval_over_patients(patients, rounds=400)
        held += interval.low <= 0 <= interval.high
    assert 0.88 <= held / rounds <= 1.0


def test_patients_count_not_their_series_and_one_patient_says_nothing() -> None:
    once = interval_over_patients({"a": [0.7], "b": [0.9], "c": [0.8]})
    often = interval_over_patients({"a": [0.7] * 9, "b": [0.9] * 9, "c": [0.8] * 9})
    assert (once.low, once.high) == pytest.approx((often.low, often.high))
    assert (once.patients, often.cases) == (3, 27)
    alone = interval_over_patients({"a": [0.7, 0.8, float("nan")]})
    assert alone.mean == pytest.approx(0.75)
    assert np.isnan([alone.low, alone.high]).all()
    assert np.isnan(interval_over_patients({}).mean)

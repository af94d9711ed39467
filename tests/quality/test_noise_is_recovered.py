"""What you learn here: noise, ghosts and uneven coils of known size are found back; what cannot be known is said so."""

from __future__ import annotations

import math

import numpy as np
import pytest
from irp_quality.domain.slice_quality import assess_slice
from numpy.typing import NDArray

SIGNAL = 400.0
ROWS, COLUMNS = np.mgrid[:256, :256]
CHEST = (ROWS - 128) ** 2 + (COLUMNS - 128) ** 2 < 80**2
HEART = (ROWS - 128) ** 2 + (COLUMNS - 100) ** 2 < 20**2


def a_phantom(ghost: float = 0.0, slope: float = 0.0) -> NDArray[np.float64]:
    """Chest at 400, heart at 700, air at 0; a ghost half a field of view away; a coil that falls off by `slope`."""
    clean = np.where(HEART, 700.0, np.where(CHEST, SIGNAL, 0.0)) * (1 + slope * (COLUMNS - 128) / 80)
    return np.asarray(clean + ghost * np.roll(clean, 128, axis=0))


def a_magnitude_image(clean: NDArray[np.float64], sigma: float, frames: int = 1, seed: int = 0) -> NDArray[np.float64]:
    """Rician noise of standard deviation sigma in each channel: (time, row, column)."""
    rng = np.random.default_rng(seed)
    shape = (frames, *clean.shape)
    return np.hypot(clean + rng.normal(0, sigma, shape), rng.normal(0, sigma, shape))


@pytest.mark.parametrize("sigma", [4.0, 10.0, 25.0, 40.0])
def test_three_independent_noise_estimates_find_the_known_noise_within_five_percent(sigma: float) -> None:
    found = assess_slice(0, a_magnitude_image(a_phantom(), sigma, frames=8)).parameters
    for name in ("noise", "noise_air", "noise_difference"):
        assert found[name] == pytest.approx(sigma, rel=0.05), name
    assert found["snr"] == pytest.approx(SIGNAL / sigma, rel=0.06)
    assert found["cnr"] == pytest.approx((700 - SIGNAL) / sigma, rel=0.08)


def test_integer_pixels_change_nothing() -> None:
    frames = np.round(a_magnitude_image(a_phantom(), 10.0))
    assert assess_slice(0, frames).parameters["noise"] == pytest.approx(10.0, rel=0.05)


def test_edges_and_texture_in_a_third_of_the_chest_do_not_pass_for_noise() -> None:
    stripes = a_phantom() + np.where(CHEST & (ROWS < 110), 80.0 * (COLUMNS // 4 % 2), 0.0)
    assert assess_slice(0, a_magnitude_image(stripes, 10.0)).parameters["noise"] == pytest.approx(10.0, rel=0.1)


def test_a_masked_background_makes_air_unknown_and_leaves_the_snr_known() -> None:
    frames = a_magnitude_image(a_phantom(), 10.0)
    frames[:, ~CHEST] = 0.0
    quality = assess_slice(0, frames)
    assert quality.unknown["snr_air"] == quality.unknown["ghosting"] == "background masked out"
    assert "snr_air" not in quality.parameters
    assert quality.parameters["snr"] == pytest.approx(40.0, rel=0.06)


def test_a_signed_psir_image_has_no_rayleigh_air() -> None:
    rng = np.random.default_rng(1)
    frames = (a_phantom() + rng.normal(0, 10.0, (256, 256)))[None]
    quality = assess_slice(0, frames)
    assert quality.unknown["noise_air"] == "signed image"
    assert quality.parameters["noise"] == pytest.approx(10.0, rel=0.05)


@pytest.mark.parametrize("frames", [np.zeros((1, 64, 64)), np.full((2, 64, 64), 7.0), np.full((1, 64, 64), np.nan)])
def test_a_slice_without_signal_gives_no_number_at_all(frames: NDArray[np.float64]) -> None:
    quality = assess_slice(3, frames)
    assert quality.parameters == {}
    assert quality.unknown["snr"] == "no signal"


def test_ghosts_raise_the_artefact_measures_in_step() -> None:
    found = [assess_slice(0, a_magnitude_image(a_phantom(ghost=g), 5.0)).parameters for g in (0.0, 0.05, 0.1, 0.2)]
    for name in ("ghosting", "artefact"):
        values = [one[name] for one in found]
        assert values == sorted(values), name
    assert found[0]["ghosting"] < 0.01
    assert found[3]["ghosting"] > 0.08
    assert found[3]["noise_air"] == pytest.approx(5.0, rel=0.08), "ghosts are not taken for noise"


@pytest.mark.parametrize("slope", [0.0, 0.2, 0.4])
def test_homogeneity_is_that_of_the_known_coil(slope: float) -> None:
    columns = COLUMNS[CHEST]
    low, high = np.percentile(1 + slope * (columns - 128) / 80, (5, 95))
    expected = 1 - (high - low) / (high + low)
    found = assess_slice(0, a_magnitude_image(a_phantom(slope=slope), 10.0)).parameters["homogeneity"]
    assert found == pytest.approx(expected, abs=0.03)


def test_entropy_focus_lies_between_one_voxel_and_an_even_field() -> None:
    point = np.zeros((1, 64, 64))
    point[0, 10, 10] = 1.0
    from irp_quality.domain.slice_quality import entropy_focus

    assert entropy_focus(point[0]) == 0.0
    assert entropy_focus(np.ones((64, 64))) == pytest.approx(1.0)
    assert math.isnan(entropy_focus(np.zeros((64, 64))))

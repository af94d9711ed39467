"""Images as they are on worse days: noise, an uneven coil, a patient who moves, a coarser grid. Seeded.

Strengths are what a reader still reports on (mild) and what a technologist would repeat (strong).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from irp_kernel import Volume
from numpy.typing import NDArray
from scipy import ndimage

Strength = Literal["mild", "strong"]
Array = NDArray[np.float32]
Random = np.random.Generator

STRENGTHS: tuple[Strength, ...] = ("mild", "strong")
NOISE = {"mild": 0.05, "strong": 0.10}  # standard deviation over the 99th percentile of the image
BIAS = {"mild": 0.3, "strong": 0.7}  # natural logarithm of brightness, from the middle to an end
MOVED_LINES = {"mild": 0.1, "strong": 0.25}  # share of phase-encoding lines
MOVED_PX = {"mild": 2.0, "strong": 5.0}
COARSER = {"mild": 1.5, "strong": 2.5}  # size of a pixel over the image's own


def disturb(volume: Volume, kind: str, strength: Strength, seed: int) -> Volume:
    """The same volume, worse; the same seed gives the same one.

    Args:
        volume: (time, slice, row, column).
        kind: one of `KINDS`.
        strength: how much.
        seed: of what is random in it.
    """
    random = np.random.default_rng((seed, sum(kind.encode()), STRENGTHS.index(strength)))
    changed = KINDS[kind](np.asarray(volume.array, dtype=np.float32), strength, random)
    return Volume(geometry=volume.geometry, array=changed.astype(np.float32))


def shifted(volume: Volume) -> Volume:
    """Moved by one pixel along rows and columns: nothing that matters has changed. See `shifted_back`."""
    return Volume(geometry=volume.geometry, array=np.roll(volume.array, (1, 1), axis=(2, 3)))


def shifted_back(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Labels of `shifted` on the grid of the original."""
    return np.roll(labels, (-1, -1), axis=(2, 3))


def _noise(image: Array, strength: Strength, random: Random) -> Array:
    """Rician where the image is a magnitude; Gaussian where it is signed (PSIR). Source: Gudbjartsson, Patz 1995."""
    sigma = NOISE[strength] * float(np.percentile(np.abs(image), 99))
    noisy = image + random.normal(0, sigma, image.shape)
    if image.min() < 0:
        return np.asarray(noisy, dtype=np.float32)
    return np.asarray(np.hypot(noisy, random.normal(0, sigma, image.shape)), dtype=np.float32)


def _bias(image: Array, strength: Strength, random: Random) -> Array:
    """One smooth field for the whole series: a coil does not move with the heart."""
    rows, columns = (np.linspace(-1, 1, size) for size in image.shape[2:])
    angle, curve = random.uniform(0, 2 * np.pi), random.uniform(-0.5, 0.5)
    slope = np.cos(angle) * rows[:, None] + np.sin(angle) * columns[None, :]
    field = slope + curve * (rows[:, None] ** 2 + columns[None, :] ** 2 - 1)
    return np.asarray(image * np.exp(BIAS[strength] * field / np.abs(field).max()), dtype=np.float32)


def _motion(image: Array, strength: Strength, random: Random) -> Array:
    """Some phase-encoding lines (along rows) were read while the patient lay elsewhere: ghosts.

    Source: the shift theorem of the Fourier transform.
    """
    count = image.shape[2]
    moved = np.asarray(random.random(count) < MOVED_LINES[strength])
    moved[:2] = moved[-2:] = False  # the centre of k-space is the picture itself
    frequency = np.fft.fftfreq(count)
    shift = np.where(moved, random.normal(0, MOVED_PX[strength], count), 0.0)
    phase = np.exp(-2j * np.pi * frequency * shift)
    ghosted = np.fft.ifft(np.fft.fft(image, axis=2) * phase[None, None, :, None], axis=2)
    return np.asarray(np.abs(ghosted) if image.min() >= 0 else ghosted.real, dtype=np.float32)


def _resampling(image: Array, strength: Strength, random: Random) -> Array:
    """Read on a coarser grid, and interpolated back: what a scanner stores that zooms."""
    coarse = ndimage.zoom(image, (1, 1, 1 / COARSER[strength], 1 / COARSER[strength]), order=1, grid_mode=False)
    back = [full / part for full, part in zip(image.shape, coarse.shape, strict=True)]
    return np.asarray(ndimage.zoom(coarse, back, order=1, grid_mode=False), dtype=np.float32)


KINDS: Mapping[str, Callable[[Array, Strength, Random], Array]] = {
    "noise": _noise,
    "bias field": _bias,
    "motion": _motion,
    "resampling": _resampling,
}

"""Three independent looks at the noise of one slice, each NaN where it cannot be had.

All return the standard deviation sigma of the Gaussian noise in each complex channel, in the intensity units of the
image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Plane = NDArray[np.float64]  # (row, column)
Region = NDArray[np.bool_]  # (row, column)

WINDOW_RADIUS = 3  # voxels: 7 x 7 windows, 46 degrees of freedom after the plane is taken out
MIN_WINDOWS = 50  # windows wholly inside tissue; fewer: unknown
MIN_AIR_VOXELS = 200
MAD_TO_SIGMA = 1.4826
MIN_FRAMES_FOR_DIFFERENCE = 4


def tissue_noise(plane: Plane, tissue: Region) -> float:
    """Mode of the local standard deviation inside tissue, each window less its own fitted plane.

    The mode is taken by the half-sample method: windows with edges and texture form the long upper tail and do not
    move it. Needs no air, so it holds for masked and parallel-imaging images too, where noise differs from place to
    place. Fine texture in every window makes it an upper bound.

    Sources: Coupe et al., Med Image Anal 14:483, 2010 (local residuals, MAD/mode); Bickel and Fruehwirth, Comput Stat
    Data Anal 50:3500, 2006 (half-sample mode).
    """
    size = 2 * WINDOW_RADIUS + 1
    inside = ndimage.binary_erosion(tissue, np.ones((size, size)), border_value=0)
    if int(inside.sum()) < MIN_WINDOWS:
        return float("nan")
    sigmas = np.sqrt(_residual_variance(plane, WINDOW_RADIUS)[inside])
    return half_sample_mode(sigmas) or float("nan")


def air_noise(plane: Plane, air: Region) -> float:
    """From air, where a magnitude image is Rayleigh distributed: sigma^2 = E[air^2] / 2, mode over 7 x 7 windows.

    The mode passes over windows that hold ghosts or partial volume.
    Source: Henkelman, Med Phys 12:232, 1985; Dietrich et al., JMRI 26:375, 2007 (valid for one channel without
    parallel imaging; compare with the other two before trusting it).
    """
    size = 2 * WINDOW_RADIUS + 1
    inside = ndimage.binary_erosion(air, np.ones((size, size)), border_value=0)
    if int(air.sum()) < MIN_AIR_VOXELS or int(inside.sum()) < MIN_WINDOWS:
        return float("nan")
    square = ndimage.uniform_filter(plane**2, size)
    return half_sample_mode(np.sqrt(square[inside] / 2)) or float("nan")


def difference_noise(frames: NDArray[np.float64], tissue: Region) -> float:
    """From differences of neighbouring frames (time, row, column) inside tissue: MAD / sqrt(2), median over time.

    The median absolute deviation ignores what moves. Reconstructions that share or interpolate views between phases
    correlate neighbours and make it a lower bound.
    Source: NEMA MS 1-2008 method 1; Dietrich et al., JMRI 26:375, 2007 ("SNR diff").
    """
    if frames.shape[0] < MIN_FRAMES_FOR_DIFFERENCE or int(tissue.sum()) < MIN_WINDOWS:
        return float("nan")
    differences = np.diff(frames[:, tissue], axis=0)
    centred = differences - np.median(differences, axis=1, keepdims=True)
    sigmas = MAD_TO_SIGMA * np.median(np.abs(centred), axis=1) / np.sqrt(2)
    return float(np.median(sigmas)) or float("nan")


def half_sample_mode(values: NDArray[np.float64]) -> float:
    """Mode of a sample: the densest half, again and again."""
    sample = np.sort(values)
    while sample.size > 3:
        half = (sample.size + 1) // 2
        widths = sample[half - 1 :] - sample[: sample.size - half + 1]
        start = int(np.argmin(widths))
        sample = sample[start : start + half]
    return float(sample.mean())


def _residual_variance(plane: Plane, radius: int) -> Plane:
    """Unbiased variance in each window after its least-squares plane is taken out: closed form by box filters."""
    size = 2 * radius + 1
    steps = np.arange(-radius, radius + 1, dtype=np.float64)
    centred = plane - np.median(plane)  # keeps the subtraction of squares well conditioned
    along_rows = ndimage.uniform_filter1d(centred, size, axis=0)
    along_columns = ndimage.uniform_filter1d(centred, size, axis=1)
    mean = ndimage.uniform_filter1d(along_rows, size, axis=1)
    square = ndimage.uniform_filter1d(ndimage.uniform_filter1d(centred**2, size, axis=0), size, axis=1)
    row_slope = ndimage.correlate1d(along_columns, steps / size, axis=0)
    column_slope = ndimage.correlate1d(along_rows, steps / size, axis=1)
    explained = (row_slope**2 + column_slope**2) / np.mean(steps**2)
    windows = size * size
    return np.asarray(np.maximum(square - mean**2 - explained, 0.0) * windows / (windows - 3))

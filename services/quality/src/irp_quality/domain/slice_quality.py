"""Quality parameters of one slice over its frames; formulas and sources: the room's README."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from irp_quality.domain.noise import Plane, Region, air_noise, difference_noise, tissue_noise
from irp_quality.domain.regions import find_regions, otsu_threshold

FRAMES_LOOKED_AT = 5  # evenly spaced over the cycle; the median over them is robust against inflow and motion
MIN_TISSUE_VOXELS = 100
FIELD_ITERATIONS = 5
HUBER = 1.345  # robust standard deviations, 95 % efficiency. Source: Huber, Robust Statistics, 1981
FIELD_SAMPLES = 20_000  # voxels that the low-frequency field is fitted to


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceQuality:
    """Parameters of one slice by name; what cannot be known is in `unknown` with the reason, never a number."""

    slice: int
    parameters: dict[str, float]
    unknown: dict[str, str] = field(default_factory=dict)


def assess_slice(index: int, frames: NDArray[np.float64]) -> SliceQuality:
    """Measure one slice.

    Args:
        index: number of the slice.
        frames: (time, row, column), any intensity units; not finite counts as masked out.
    """
    frames = np.where(np.isfinite(frames), frames, 0.0)
    average = frames.mean(axis=0)
    regions = find_regions(average)
    if int(regions.tissue.sum()) < MIN_TISSUE_VOXELS:
        return SliceQuality(slice=index, parameters={}, unknown=dict.fromkeys(("snr", *NAMES), "no signal"))
    looked_at = frames[np.unique(np.linspace(0, len(frames) - 1, min(len(frames), FRAMES_LOOKED_AT)).astype(int))]
    values = _middle([_of_frame(plane, regions.tissue, regions.air) for plane in looked_at])
    values["noise_difference"] = difference_noise(frames, regions.tissue)
    values["homogeneity"] = homogeneity(average, regions.tissue)
    values |= _ratios(values)
    reasons = dict.fromkeys(("noise_air", "snr_air", "ghosting"), regions.air_unknown or "no air")
    reasons |= dict.fromkeys(("noise_difference", "snr_difference"), "too few frames")
    known = {name: value for name, value in values.items() if math.isfinite(value)}
    unknown = {name: reasons.get(name, "no even tissue") for name in values if name not in known}
    return SliceQuality(slice=index, parameters=known, unknown=unknown)


def _of_frame(plane: Plane, tissue: Region, air: Region) -> dict[str, float]:
    inside = np.abs(plane)[tissue]
    bright, dark = _two_tissues(inside)
    signal = float(np.median(inside))
    from_air = air_noise(plane, air)
    return {
        "signal": signal,
        "contrast": bright - dark,
        "noise": tissue_noise(plane, tissue),
        "noise_air": from_air,
        "ghosting": ghosting(plane[air], from_air, signal),
        "artefact": entropy_focus(plane),
    }


def _ratios(values: dict[str, float]) -> dict[str, float]:
    return {
        "snr": values["signal"] / values["noise"],
        "cnr": values["contrast"] / values["noise"],
        "snr_air": values["signal"] / values["noise_air"],
        "snr_difference": values["signal"] / values["noise_difference"],
    }


NAMES = ("cnr", "homogeneity", "artefact", "signal", "noise")


def _middle(frames: list[dict[str, float]]) -> dict[str, float]:
    """Median over frames of what is known."""
    result = {}
    for name in frames[0]:
        known = [frame[name] for frame in frames if math.isfinite(frame[name])]
        result[name] = float(np.median(known)) if known else math.nan
    return result


def _two_tissues(inside: NDArray[np.float64]) -> tuple[float, float]:
    """Medians of the brighter and the darker class of tissue (blood and fat, muscle and organs)."""
    threshold = otsu_threshold(inside)
    bright, dark = inside[inside >= threshold], inside[inside < threshold]
    if not bright.size or not dark.size:
        return float(np.median(inside)), float(np.median(inside))
    return float(np.median(bright)), float(np.median(dark))


def ghosting(air: NDArray[np.float64], sigma: float, signal: float) -> float:
    """Energy in air beyond noise, as a share of the signal: sqrt(max(0, mean(air^2) - 2 sigma^2)) / signal.

    0 without ghosts. After the idea of QI1/QI2: Mortamet et al., Magn Reson Med 62:365, 2009.
    """
    if not air.size or not math.isfinite(sigma):
        return math.nan
    excess = float(np.mean(air**2)) - 2 * sigma**2
    return math.sqrt(max(0.0, excess)) / signal


def entropy_focus(plane: Plane) -> float:
    """Entropy focus criterion, 0 (all energy in one voxel) to 1 (spread evenly): ghosts and blurring raise it.

    Source: Atkinson et al., IEEE Trans Med Imaging 16:903, 1997; normalised as in MRIQC.
    """
    magnitude = np.abs(plane).ravel()
    energy = float(np.sqrt(np.sum(magnitude**2)))
    if energy == 0.0:
        return math.nan
    share = magnitude[magnitude > 0] / energy
    count = magnitude.size
    most = np.sqrt(count) * np.log(np.sqrt(count))
    return float(-np.sum(share * np.log(share)) / most)


def homogeneity(plane: Plane, tissue: Region) -> float:
    """1 - (b95 - b5) / (b95 + b5) of the low-frequency field b: 1 = even.

    b = exp of a second-order polynomial in (row, column) fitted to log intensity in tissue by Huber regression; b5 and
    b95 are its percentiles in tissue. Form of NEMA MS 3-2008's peak deviation non-uniformity, on the fitted field
    because a heart is no phantom.
    """
    rows, columns = np.nonzero(tissue & (np.abs(plane) > 0))
    step = max(1, rows.size // FIELD_SAMPLES)
    rows, columns = rows[::step], columns[::step]
    y, x = (2 * axis / size - 1 for axis, size in ((rows, plane.shape[0]), (columns, plane.shape[1])))
    design = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    target = np.log(np.abs(plane[rows, columns]))
    field_log = design @ _huber(design, target)
    low, high = np.exp(np.percentile(field_log, (5, 95)))
    return float(1 - (high - low) / (high + low))


def _huber(design: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.ones(target.shape)
    solution: NDArray[np.float64] = np.zeros(design.shape[1])
    for _ in range(FIELD_ITERATIONS):
        root = np.sqrt(weights)[:, None]
        solution = np.asarray(np.linalg.lstsq(design * root, target * root[:, 0], rcond=None)[0])
        residual = np.abs(target - design @ solution)
        limit = HUBER * max(1.4826 * float(np.median(residual)), 1e-6)
        weights = np.minimum(1.0, limit / np.maximum(residual, 1e-12))
    return np.asarray(solution)

"""How sure a mean is: intervals over patients, for patients are what is drawn at random, not slices or series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit  # scipy.stats has the same, and takes a second to import

ROUNDS = 2000  # resamples
LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean over cases with its interval over patients.

    Attributes:
        mean: of all cases.
        low, high: ends of the interval; NaN with fewer than two patients, for nothing can be said then.
        patients: number of them.
        cases: number of values; of a ratio, the sum below.
        level: share of such intervals that shall hold the truth.
    """

    mean: float
    low: float
    high: float
    patients: int
    cases: int
    level: float = LEVEL


def interval_over_patients(
    values: Mapping[str, Sequence[float]], *, level: float = LEVEL, rounds: int = ROUNDS, seed: int = 0
) -> Interval:
    """Bootstrap interval of the mean, patients resampled as wholes; the same values and seed give the same interval.

    The percentiles are those of the expanded percentile interval, for with few patients the plain one is too narrow. Of
    100 intervals of normal values the truth is in 95 (plain: 93) with 20 patients, 94 (91) with 10, 91 (83) with 5, and
    77 (76) with 3: below 5 patients read them as a hint.
    Source: Hesterberg 2015, What Teachers Should Know About the Bootstrap, section 5.2; Davison and Hinkley 1997, 3.8.

    Args:
        values: finite numbers by patient.
        level: of the interval.
        rounds: number of resamples.
        seed: of the resampling.
    """
    known = {patient: [v for v in numbers if np.isfinite(v)] for patient, numbers in sorted(values.items())}
    return ratio_over_patients(
        {patient: (sum(numbers), len(numbers)) for patient, numbers in known.items()},
        level=level,
        rounds=rounds,
        seed=seed,
    )


def ratio_over_patients(
    parts: Mapping[str, tuple[float, float]], *, level: float = LEVEL, rounds: int = ROUNDS, seed: int = 0
) -> Interval:
    """Interval of a ratio of sums: `sum of upper / sum of lower` over all patients, for example Dice of all slices.

    Args:
        parts: (upper, lower) by patient; patients with nothing below do not count.
        level: of the interval.
        rounds: number of resamples.
        seed: of the resampling.
    """
    pairs = [parts[patient] for patient in sorted(parts) if parts[patient][1] > 0]
    if not pairs:
        return Interval(mean=np.nan, low=np.nan, high=np.nan, patients=0, cases=0, level=level)
    upper, lower = np.array(pairs, dtype=np.float64).T
    mean, patients, cases = float(upper.sum() / lower.sum()), len(pairs), int(lower.sum())
    if patients < 2:
        return Interval(mean=mean, low=np.nan, high=np.nan, patients=patients, cases=cases, level=level)
    drawn = np.random.default_rng(seed).integers(patients, size=(rounds, patients))
    ratios = upper[drawn].sum(axis=1) / lower[drawn].sum(axis=1)
    tail = float(ndtr(-np.sqrt(patients / (patients - 1)) * stdtrit(patients - 1, (1 + level) / 2)))
    low, high = np.quantile(ratios, (tail, 1 - tail))
    return Interval(mean=mean, low=float(low), high=float(high), patients=patients, cases=cases, level=level)

"""The report of a series: its slices, its own parameters, and a verdict with stated reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from irp_kernel import Volume

from irp_quality.domain.slice_quality import SliceQuality, assess_slice

Verdict = Literal["good", "review", "unusable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When a person should look, and when nobody need bother. Conventions of this project, not clinical limits."""

    snr_review: float = 10.0
    snr_unusable: float = 4.0
    ghosting_review: float = 0.20  # share of the tissue signal
    homogeneity_review: float = 0.40
    empty_unusable: float = 0.50  # share of slices without signal


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesReport:
    """Quality of one series.

    Attributes:
        verdict: good, review or unusable.
        reasons: why it is not good, in words with numbers.
        parameters: median over slices of what is known.
        unknown: parameter -> why no slice has it.
        slices: in order.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    parameters: dict[str, float]
    unknown: dict[str, str]
    slices: tuple[SliceQuality, ...]


def assess(volume: Volume, thresholds: Thresholds | None = None) -> SeriesReport:
    """Measure every slice and judge the series."""
    slices = tuple(
        assess_slice(index, np.asarray(volume.array[:, index], dtype=np.float64))
        for index in range(volume.geometry.shape[0])
    )
    return judge(slices, thresholds or Thresholds())


def judge(slices: Sequence[SliceQuality], thresholds: Thresholds) -> SeriesReport:
    """Combine slices and decide: pure, a table test."""
    parameters = _medians(slices)
    unknown = {n: reason for one in slices for n, reason in one.unknown.items() if n not in parameters}
    unusable, review = _findings(slices, parameters, thresholds)
    verdict: Verdict = "unusable" if unusable else "review" if review else "good"
    return SeriesReport(
        verdict=verdict,
        reasons=(*unusable, *review),
        parameters=parameters,
        unknown=unknown,
        slices=tuple(slices),
    )


def _medians(slices: Sequence[SliceQuality]) -> dict[str, float]:
    names = sorted({name for one in slices for name in one.parameters})
    return {name: float(np.median([s.parameters[name] for s in slices if name in s.parameters])) for name in names}


def _findings(
    slices: Sequence[SliceQuality], values: dict[str, float], thresholds: Thresholds
) -> tuple[list[str], list[str]]:
    empty = sum(1 for one in slices if "signal" not in one.parameters)
    unusable, review = [], []
    if empty > thresholds.empty_unusable * len(slices):
        unusable.append(f"{empty} of {len(slices)} slices show no signal")
    elif empty:
        review.append(f"{empty} of {len(slices)} slices show no signal")
    snr = values.get("snr")
    if snr is None and not unusable:
        review.append("the SNR cannot be measured")
    elif snr is not None and snr < thresholds.snr_unusable:
        unusable.append(f"SNR {snr:.1f} is below {thresholds.snr_unusable:g}")
    elif snr is not None and snr < thresholds.snr_review:
        review.append(f"SNR {snr:.1f} is below {thresholds.snr_review:g}")
    if values.get("ghosting", 0.0) > thresholds.ghosting_review:
        review.append(f"ghosting is {values['ghosting']:.2f} of the signal")
    if values.get("homogeneity", 1.0) < thresholds.homogeneity_review:
        review.append(f"homogeneity {values['homogeneity']:.2f} is below {thresholds.homogeneity_review:g}")
    return unusable, review

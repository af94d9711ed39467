"""Scores -> ranks.

Each entry is ranked in every (metric, structure), patients being averaged first; the mean of these ranks places it.
Entries of equal mean rank share a place. How sure a place is, resampled patients say.

Source: Wiesenfarth et al., "Methods and open-source toolkit for analyzing and visualizing challenge results",
Sci Rep 11:2369 (2021): aggregate-then-rank, bootstrapped ranking.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from irp_bundle import interval_over_patients
from numpy.typing import NDArray

from irp_training.domain.challenges.challenge import BEST, HIGHER_IS_BETTER, CaseScore, Metric

SAMPLES, SEED = 1000, 20
INTERVAL = (2.5, 97.5)  # percentiles
DIGITS = 6  # of a mean that are compared: rounding of floating point numbers places nobody

Column = tuple[Metric, str]  # metric, structure


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One metric of one structure: mean over patients with its 95 % interval (NaN below two patients), and the rank.

    The mean is NaN where every case that tells of it was left without an answer.
    """

    metric: Metric
    structure: str
    mean: float
    low: float
    high: float
    rank: float
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One entry's place: 1 = best; the interval holds 95 % of its places over resampled patients."""

    entry: str
    position: int
    mean_rank: float
    position_low: int
    position_high: int
    figures: tuple[Figure, ...]


def rank(scored: Mapping[str, Sequence[CaseScore]], metrics: Sequence[Metric], structures: Sequence[str]) -> list[Row]:
    """Place entries, best first.

    Args:
        scored: entry -> its cases; every entry has the same cases.
        metrics: that count.
        structures: that count; a column that no case judges is left out.
    """
    if not scored:
        return []
    columns = [(metric, structure) for metric in metrics for structure in structures]
    scored = _completed(scored, columns)
    patients = sorted({case.patient for cases in scored.values() for case in cases})
    table = np.stack([_per_patient(cases, patients, columns) for cases in scored.values()])
    kept = [place for place in range(len(columns)) if not np.isnan(table[:, :, place]).all()]
    table, columns = table[:, :, kept], [columns[place] for place in kept]
    means = _means(table)
    ranks = _ranks(means, columns)
    places = _places(ranks)
    picks = np.random.default_rng(SEED).integers(0, len(patients), (SAMPLES, len(patients)))
    moved = np.stack([_places(_ranks(_means(table[:, pick]), columns)) for pick in picks])
    rows = []
    for number, (entry, cases) in enumerate(scored.items()):
        sampled = moved[:, number] if len(patients) > 1 else (1, len(scored))  # one patient tells nothing
        low, high = np.percentile(sampled, INTERVAL, method="nearest")
        rows.append(
            Row(
                entry=entry,
                position=int(places[number]),
                mean_rank=float(ranks[number].mean()),
                position_low=int(low),
                position_high=int(high),
                figures=_figures(columns, table[number], ranks[number], sum(case.missing for case in cases)),
            )
        )
    return sorted(rows, key=lambda row: row.position)


def _completed(scored: Mapping[str, Sequence[CaseScore]], columns: Sequence[Column]) -> dict[str, list[CaseScore]]:
    """Who has no value where others have one rightly saw none, which older scores leave out: the best value."""
    judged: dict[str, set[Column]] = {}
    for case in chain.from_iterable(scored.values()):
        told = {(metric, structure) for metric, structure in columns if structure in case.values.get(metric, {})}
        judged.setdefault(case.series, set()).update(told)
    return {entry: [_filled(case, judged[case.series]) for case in cases] for entry, cases in scored.items()}


def _filled(case: CaseScore, judged: Iterable[Column]) -> CaseScore:
    if case.missing:
        return case
    values = {metric: dict(column) for metric, column in case.values.items()}
    for metric, structure in judged:
        values.setdefault(metric, {}).setdefault(structure, BEST[metric])
    return replace(case, values=values)


def _per_patient(cases: Sequence[CaseScore], patients: Sequence[str], columns: Sequence[Column]) -> NDArray[np.float64]:
    """(patient, column): mean over the patient's cases; NaN where nobody judged."""
    table = np.full((len(patients), len(columns)), np.nan)
    for row, patient in enumerate(patients):
        own = [case.values for case in cases if case.patient == patient]
        for place, (metric, structure) in enumerate(columns):
            values = [v[metric][structure] for v in own if structure in v.get(metric, {})]
            if values:
                table[row, place] = sum(values) / len(values)
    return table


def _means(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """(entry, column) over the patients; NaN where a sample holds nobody who was judged."""
    known = ~np.isnan(table)
    count = known.sum(axis=1)
    total = np.where(known, table, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _ranks(means: NDArray[np.float64], columns: Sequence[Column]) -> NDArray[np.float64]:
    """(entry, column): 1 = best, equal means share the mean of their ranks; an unknown one is the worst."""
    ranks = np.empty_like(means)
    for place, (metric, _) in enumerate(columns):
        values = np.round(means[:, place], DIGITS)
        keyed = np.nan_to_num(-values if HIGHER_IS_BETTER[metric] else values, nan=np.inf)
        better, equal = _compared(keyed)
        ranks[:, place] = better + (equal + 1) / 2
    return ranks


def _places(ranks: NDArray[np.float64]) -> NDArray[np.int64]:
    """(entry,): 1 = least mean rank; equal ones share the best of their places."""
    better, _ = _compared(np.round(ranks.mean(axis=1), DIGITS))
    return better + 1


def _compared(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each value how many are less, and how many are equal (itself is)."""
    less, equal = values[:, None] > values[None, :], values[:, None] == values[None, :]
    return less.sum(axis=1), equal.sum(axis=1)


def _figures(
    columns: Sequence[Column], table: NDArray[np.float64], ranks: NDArray[np.float64], missing: int
) -> tuple[Figure, ...]:
    """Of one entry: `table` is (patient, column)."""
    found = []
    for place, (metric, structure) in enumerate(columns):
        values = {str(row): [float(value)] for row, value in enumerate(table[:, place])}
        told = interval_over_patients(values, seed=SEED)
        found.append(
            Figure(
                metric=metric,
                structure=structure,
                mean=told.mean,
                low=told.low,
                high=told.high,
                rank=float(ranks[place]),
                missing=missing,
            )
        )
    return tuple(found)

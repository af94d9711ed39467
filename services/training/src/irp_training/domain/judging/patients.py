"""Values of series as values of patients: patients are what is drawn at random, so each is one voice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from irp_bundle import interval_over_patients

ONE_SIDED = 0.90  # level of the two-sided interval whose lower end is that of the one-sided 95 % interval


def by_patient(values: Iterable[tuple[str, float]], patients: Mapping[str, str]) -> dict[str, float]:
    """Patient -> mean of the patient's series.

    Args:
        values: (series, value).
        patients: pseudonym by series; a series that is not in it stands for itself.
    """
    found: dict[str, list[float]] = {}
    for series, value in values:
        found.setdefault(patients.get(series, series), []).append(value)
    return {patient: sum(some) / len(some) for patient, some in found.items()}


def lower_bound(values: Mapping[str, float]) -> float:
    """Lower bound of the one-sided 95 % interval of the mean over patients; NaN for fewer than two."""
    return interval_over_patients({patient: [value] for patient, value in values.items()}, level=ONE_SIDED).low

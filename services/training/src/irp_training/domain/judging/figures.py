"""Dice of patients kept out, summed up: per structure and per subgroup, with intervals over patients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

from irp_bundle import interval_over_patients
from irp_kernel.mask import VALUE_OF

from irp_training.domain.judging.scores import intervals

Row = Mapping[str, Any]  # of a run's cases: patient, split, subgroups, Dice "before" and "after" per structure
Figures = dict[str, dict[str, dict[str, Any]]]  # split -> structure -> figures

FEWEST = 3  # patients of a subgroup that is shown on a card, which leaves the house: fewer could be recognised


def summarise(cases: Iterable[Row], when: str) -> Figures:
    """{split: {structure: {"mean", "min", "cases", "patients", "low", "high"}}}; an end that is not known is null.

    Args:
        cases: one per held-out series.
        when: "before" or "after".
    """
    values = _values(cases, when)
    return {part: _by_structure(structures) for part, structures in sorted(values.items())}


def by_subgroup(cases: Sequence[Row]) -> list[dict[str, Any]]:
    """Figures after the run per split, subgroup and structure, for subgroups of at least FEWEST patients."""
    groups = sorted({group for case in cases for group in case["subgroups"].items()})
    found = []
    for attribute, value in groups:
        inside = [case for case in cases if case["subgroups"].get(attribute) == value]
        for part, structures in summarise(inside, "after").items():
            for structure, figures in structures.items():
                if figures["patients"] >= FEWEST:
                    place = {"split": part, "attribute": attribute, "value": value, "structure": structure}
                    found.append(place | figures)
    return found


def case_intervals(cases: Sequence[Row]) -> dict[str, dict[str, dict[str, Any]]]:
    """{split: {structure: {measure: mean and interval over patients}}}: Dice and distances of borders after the run."""
    parts = sorted({case["split"] for case in cases})
    return {part: intervals((c["patient"], _measures(c)) for c in cases if c["split"] == part) for part in parts}


def _measures(case: Row) -> dict[str, dict[str, float]]:
    found = {name: dict(distances) for name, distances in case["distances"].items()}
    for name, value in case["after"].items():
        found.setdefault(name, {})["dice"] = value
    return found


def _values(cases: Iterable[Row], when: str) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Split -> structure -> patient -> Dice of the patient's series."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for case in cases:
        for structure, value in case[when].items():
            patients = found.setdefault(case["split"], {}).setdefault(structure, {})
            patients.setdefault(case["patient"], []).append(value)
    return found


def _by_structure(values: Mapping[str, Mapping[str, list[float]]]) -> dict[str, dict[str, Any]]:
    ordered = sorted(values.items(), key=lambda item: VALUE_OF[item[0]])
    return {structure: _figures(patients) for structure, patients in ordered}


def _figures(patients: Mapping[str, list[float]]) -> dict[str, Any]:
    interval = interval_over_patients(patients)
    return {
        "mean": interval.mean,
        "min": min(value for values in patients.values() for value in values),
        "cases": interval.cases,
        "patients": interval.patients,
        "low": interval.low if isfinite(interval.low) else None,
        "high": interval.high if isfinite(interval.high) else None,
    }

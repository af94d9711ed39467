"""Bland-Altman: how far two ways of measuring the same lie apart, patient by patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from irp_training.domain.judging.scores import DIGITS, interval_json
from irp_training.domain.validations.volumes import Pair

WITHIN = 1.96  # standard deviations: 95 % of normal differences


def agreement(pairs: Sequence[tuple[str, Pair]]) -> dict[str, Any]:
    """Bias and limits of agreement of answer minus truth, one value per patient (mean of the patient's series).

    Source: Bland and Altman 1986, Lancet 327:307.

    Args:
        pairs: (patient, (answer, truth)).

    Returns:
        patients, bias with its 95 % interval, sd, lower and upper limit of agreement (None with one patient), points.
    """
    by_patient: dict[str, list[Pair]] = {}
    for patient, pair in pairs:
        by_patient.setdefault(patient, []).append(pair)
    points = np.array([np.mean(found, axis=0) for _, found in sorted(by_patient.items())])
    differences = points[:, 0] - points[:, 1]
    bias = interval_json({str(place): [float(value)] for place, value in enumerate(differences)})
    sd = float(differences.std(ddof=1)) if len(differences) > 1 else None
    return {
        "patients": len(points),
        "bias": bias,
        "sd": _short(sd),
        "lower": _short(None if sd is None else float(differences.mean()) - WITHIN * sd),
        "upper": _short(None if sd is None else float(differences.mean()) + WITHIN * sd),
        "points": [[round(float(value), 3) for value in point] for point in points],
    }


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)

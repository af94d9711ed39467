"""Every method by its name, and its parameters read with care."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irp_inference.domain.algorithms.active_contour import GeodesicActiveContour
from irp_inference.domain.algorithms.marks import Marks, Region
from irp_inference.domain.algorithms.random_walk import RandomWalker
from irp_inference.domain.algorithms.region_growing import RegionGrowing
from irp_inference.domain.algorithms.thresholds import FullWidthHalfMaximum, StandardDeviations, Threshold
from irp_inference.domain.errors import AlgorithmUnknown, ParametersNotValid

Method = Callable[[NDArray[np.float32], Marks, Region | None], Region]

METHODS: Mapping[str, type[Any]] = {
    "region-growing": RegionGrowing,
    "random-walker": RandomWalker,
    "geodesic-active-contour": GeodesicActiveContour,
    "threshold": Threshold,
    "n-sd": StandardDeviations,
    "fwhm": FullWidthHalfMaximum,
}
RANGES: Mapping[str, tuple[float, float]] = {
    "tolerance": (0.1, 100),
    "connectivity": (4, 8),
    "beta": (1, 100_000),
    "margin": (1, 256),
    "steps": (1, 1000),
    "smoothing": (0, 4),
    "sigma": (0.3, 20),
    "above": (-1e9, 1e9),
    "n": (0.5, 20),
}


def method(name: str, parameters: Mapping[str, Any]) -> Method:
    """A method with its parameters.

    Raises:
        AlgorithmUnknown: there is none of that name.
        ParametersNotValid: an unknown parameter, or a value out of its range.
    """
    if name not in METHODS:
        raise AlgorithmUnknown(f"known are {', '.join(METHODS)}")
    known = {field.name: field.default for field in fields(METHODS[name])}
    if set(parameters) - set(known):
        raise ParametersNotValid(f"parameters of {name} are {', '.join(known)}")
    made: Method = METHODS[name](**{key: _value(key, known[key], value) for key, value in parameters.items()})
    return made


def _value(name: str, default: Any, value: Any) -> Any:
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ParametersNotValid(f"{name} is true or false")
        return value
    low, high = RANGES[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ParametersNotValid(f"{name} is a number from {low:g} to {high:g}")
    if name == "connectivity" and value not in {4, 8}:
        raise ParametersNotValid("connectivity is 4 or 8")
    return int(value) if isinstance(default, int) else float(value)

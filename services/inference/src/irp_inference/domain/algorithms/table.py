"""Every method by its name, what it says of itself, and its parameters read with care. The only list of methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from irp_inference.domain.algorithms.active_contour import GeodesicActiveContour
from irp_inference.domain.algorithms.graph_cut import GraphCut
from irp_inference.domain.algorithms.marks import Marks, Region
from irp_inference.domain.algorithms.parameters import parameters_of
from irp_inference.domain.algorithms.random_walk import RandomWalker
from irp_inference.domain.algorithms.region_growing import RegionGrowing
from irp_inference.domain.algorithms.stack import Marked, Stack
from irp_inference.domain.algorithms.thresholds import FullWidthHalfMaximum, StandardDeviations, Threshold
from irp_inference.domain.errors import AlgorithmUnknown, ParametersNotValid, VolumeNotOffered

Method = Callable[[NDArray[np.float32], Marks, Region | None], Region]


@runtime_checkable
class AcrossSlices(Protocol):
    """A method that also works across slices."""

    def across(self, stack: Stack, marks: Marked, within: Region | None) -> Region:
        """Voxels (slice, row, column)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A method.

    Attributes:
        kind: its class, a dataclass of its parameters.
        finds: what, in words, with its source.
        marks: which marks it takes or needs, in words.
    """

    kind: type[Any]
    finds: str
    marks: str

    @property
    def across_slices(self) -> bool:
        """Whether it also works across slices (`volume`)."""
        return issubclass(self.kind, AcrossSlices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A method that somebody names.

    Attributes:
        name: of the method.
        structure: canonical name of what is found.
        parameters: of the method; missing ones take their defaults.
        within_model: "name" or "name@version" whose myocardium is looked at; empty = none.
        volume: work across the slices of each frame, instead of in each marked slice by itself.
    """

    name: str
    structure: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    within_model: str = ""
    volume: bool = False


METHODS: Mapping[str, Described] = {
    "region-growing": Described(
        kind=RegionGrowing,
        finds="what is connected with the marks and looks like them (Adams, Bischof 1994)",
        marks="inside; outside marks and boxes bound it",
    ),
    "random-walker": Described(
        kind=RandomWalker,
        finds="each pixel goes to the mark that a random walk reaches first (Grady 2006)",
        marks="inside, and outside or a box",
    ),
    "graph-cut": Described(
        kind=GraphCut,
        finds="the border that costs least, where edges and likeness with the marks set the price (Boykov, Jolly 2001)",
        marks="inside, and outside or a box",
    ),
    "geodesic-active-contour": Described(
        kind=GeodesicActiveContour,
        finds="a contour that stops at edges (Marquez-Neila, Baumela, Alvarez 2014)",
        marks="inside (it grows), or a box (it shrinks)",
    ),
    "threshold": Described(
        kind=Threshold,
        finds="what is brighter than Otsu's threshold of the region, or than an intensity",
        marks="a box, `within_model`, or nothing",
    ),
    "n-sd": Described(
        kind=StandardDeviations,
        finds="brighter than remote myocardium by n of its standard deviations (Kim 1999, Bondarenko 2005)",
        marks="outside on remote myocardium (five pixels or more), and a box or `within_model`",
    ),
    "fwhm": Described(
        kind=FullWidthHalfMaximum,
        finds="brighter than half of the brightest (Amado 2004), or half way to it from remote myocardium",
        marks="a box or `within_model`; inside marks choose the scar, outside marks are remote myocardium",
    ),
}


def method(name: str, parameters: Mapping[str, Any]) -> Method:
    """A method with its parameters.

    Raises:
        AlgorithmUnknown: there is none of that name.
        ParametersNotValid: an unknown parameter, or a value out of its range.
    """
    if name not in METHODS:
        raise AlgorithmUnknown(f"known are {', '.join(METHODS)}")
    kind = METHODS[name].kind
    known = parameters_of(kind)
    if set(parameters) - set(known):
        raise ParametersNotValid(f"parameters of {name} are {', '.join(known)}")
    made: Method = kind(**{key: known[key].read(value) for key, value in parameters.items()})
    return made


def method_across(name: str, parameters: Mapping[str, Any]) -> AcrossSlices:
    """A method that works across slices, with its parameters.

    Raises:
        VolumeNotOffered: it does not.
        AlgorithmUnknown, ParametersNotValid: as `method`.
    """
    made = method(name, parameters)
    if not isinstance(made, AcrossSlices):
        raise VolumeNotOffered(f"those that do: {', '.join(n for n, one in METHODS.items() if one.across_slices)}")
    return made

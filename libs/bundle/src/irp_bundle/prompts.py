"""What a reader marked, as a network sees it: two maps beside the image, of what is inside and of what is not.

The same function makes them in training, from simulated clicks, and in inference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irp_bundle.errors import PipelineNotValid

Kind = Literal["click", "box", "scribble"]
Encoding = Literal["disk", "gaussian"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RADII = (0.5, 64.0)  # pixels
MAPS = 2  # inside, outside

Window = tuple[float, float, float]
"""(row, column, side) in pixels of the image, see `sampling`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptsSpec:
    """`irp_pipeline.prompts`: that a model looks at marks, and how. The maps come after the image's channels.

    Attributes:
        kinds: of marks that it learnt; others are refused.
        encoding: "disk": 1 within the radius of a mark, else 0; "gaussian": falls off with the radius as deviation.
        radius: pixels of the network's grid.
    """

    kinds: tuple[Kind, ...] = KINDS
    encoding: Encoding = "disk"
    radius: float = 3.0

    @classmethod
    def from_json(cls, document: object) -> PromptsSpec:
        """Read it. PipelineNotValid: an unknown key, or a value out of bounds."""
        if not isinstance(document, Mapping) or set(document) - {"kinds", "encoding", "radius"}:
            raise PipelineNotValid("`prompts` is an object with the keys kinds, encoding, radius")
        kinds, encoding, radius = (
            document.get("kinds", list(KINDS)),
            document.get("encoding", "disk"),
            document.get("radius", 3.0),
        )
        if not isinstance(kinds, list) or not kinds or any(kind not in KINDS for kind in kinds):
            raise PipelineNotValid(f"`prompts.kinds` holds some of {', '.join(KINDS)}")
        if encoding not in get_args(Encoding):
            raise PipelineNotValid(f"`prompts.encoding` is one of {', '.join(get_args(Encoding))}")
        if isinstance(radius, bool) or not isinstance(radius, (int, float)) or not RADII[0] <= radius <= RADII[1]:
            raise PipelineNotValid(f"`prompts.radius` is a number from {RADII[0]:g} to {RADII[1]:g}")
        return cls(kinds=tuple(kind for kind in KINDS if kind in kinds), encoding=encoding, radius=float(radius))

    def to_json(self) -> dict[str, Any]:
        """As it stands in configs/inference.json."""
        return {"kinds": list(self.kinds), "encoding": self.encoding, "radius": self.radius}


def prompt_maps(
    inside: NDArray[np.bool_], outside: NDArray[np.bool_], window: Window, size: int, spec: PromptsSpec
) -> NDArray[np.float32]:
    """Marked pixels (row, column) of an image -> float32 (2, size, size) on the grid of a window of it."""
    return np.stack([_map(marked, window, size, spec) for marked in (inside, outside)])


def _map(marked: NDArray[np.bool_], window: Window, size: int, spec: PromptsSpec) -> NDArray[np.float32]:
    row, column, side = window
    # The inverse of where a crop's pixel lies in the image.
    places = np.rint(((np.argwhere(marked) - (row, column)) / side + 0.5) * size - 0.5).astype(np.int64)
    places = places[((places >= 0) & (places < size)).all(axis=1)]
    if not len(places):
        return np.zeros((size, size), np.float32)
    free = np.ones((size, size), np.bool_)
    free[tuple(places.T)] = False
    distance = np.asarray(ndimage.distance_transform_edt(free), np.float32)
    if spec.encoding == "disk":
        return np.asarray(distance <= spec.radius, np.float32)
    return np.asarray(np.exp(-np.square(distance / spec.radius) / 2), np.float32)

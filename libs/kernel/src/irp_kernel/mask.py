"""A segmentation on the grid of an image, which knows what was looked at.

`annotated[time, slice, structure]` is True where somebody (or some model) judged that structure.
Not annotated is unknown, never background: in loss, Dice, AHA segments and ejection fraction alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irp_kernel.errors import GeometryMismatch, InvalidArgument, UnknownStructure
from irp_kernel.geometry import Geometry

LV_BLOOD_POOL, LV_MYOCARDIUM, RV_BLOOD_POOL, SCAR, NO_REFLOW = 1, 2, 3, 4, 5

CANONICAL: Mapping[int, str] = {
    LV_BLOOD_POOL: "lv_blood_pool",
    LV_MYOCARDIUM: "lv_myocardium",
    RV_BLOOD_POOL: "rv_blood_pool",
    SCAR: "scar",
    NO_REFLOW: "no_reflow",
}
VALUE_OF: Mapping[str, int] = {name: value for value, name in CANONICAL.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One structure of a label table: value in the array (1 to 255) and name."""

    value: int
    name: str

    def __post_init__(self) -> None:
        if not 1 <= self.value <= 255 or not self.name:
            raise UnknownStructure(value=self.value)


@dataclass(frozen=True, slots=True)
class LabelTable:
    """The structures of a mask, in the order of the last axis of `annotated`."""

    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        if len({label.value for label in self.labels}) != len(self.labels) or len(set(self.names)) != len(self.labels):
            raise InvalidArgument("a label table names each value and each structure once")

    @classmethod
    def canonical(cls, names: Iterable[str]) -> LabelTable:
        """Structures by their canonical names and values.

        Raises:
            UnknownStructure: a name is not canonical.
        """
        try:
            return cls(tuple(Label(value=VALUE_OF[name], name=name) for name in names))
        except KeyError:
            raise UnknownStructure(f"canonical structures are {', '.join(VALUE_OF)}") from None

    @property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(label.name for label in self.labels)

    @property
    def values(self) -> tuple[int, ...]:
        """Values in order."""
        return tuple(label.value for label in self.labels)

    def index(self, name: str) -> int:
        """Position of a structure on the last axis of `annotated`.

        Raises:
            UnknownStructure: the table does not hold it.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise UnknownStructure(f"this mask holds {', '.join(self.names)}") from None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mask:
    """Labels on an image's grid.

    Attributes:
        geometry: the image's grid.
        labels: uint8 (time, slice, row, column); 0 is background where annotated, unknown elsewhere.
        table: what the values mean.
        annotated: bool (time, slice, structure).

    Raises:
        GeometryMismatch: an array does not fit the grid.
        UnknownStructure: a value is not in the table.
    """

    geometry: Geometry
    labels: NDArray[np.uint8]
    table: LabelTable
    annotated: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.labels.shape != self.geometry.array_shape:
            raise GeometryMismatch(
                f"shape (time, slice, row, column) is {self.labels.shape}, expected {self.geometry.array_shape}"
            )
        if self.annotated.shape != (self.geometry.frames, self.geometry.shape[0], len(self.table.labels)):
            raise GeometryMismatch("`annotated` must be (time, slice, structure)")
        foreign = _foreign(self.labels, self.table.values)
        if foreign is not None:
            raise UnknownStructure(f"value {foreign} is not in the label table", value=foreign)
        _freeze(self, labels=np.ascontiguousarray(self.labels, dtype=np.uint8))
        _freeze(self, annotated=np.ascontiguousarray(self.annotated, dtype=np.bool_))

    @classmethod
    def fully_annotated(cls, geometry: Geometry, labels: NDArray[np.uint8], table: LabelTable) -> Mask:
        """A mask in which every structure was judged on every frame and slice."""
        shape = (geometry.frames, geometry.shape[0], len(table.labels))
        return cls(geometry=geometry, labels=labels, table=table, annotated=np.ones(shape, dtype=np.bool_))

    @classmethod
    def annotated_where_labelled(cls, geometry: Geometry, labels: NDArray[np.uint8], table: LabelTable) -> Mask:
        """A mask in which a structure counts as judged on each (frame, slice) that carries its label."""
        where = [(labels == value).any(axis=(2, 3)) for value in table.values]
        return cls(geometry=geometry, labels=labels, table=table, annotated=np.stack(where, axis=-1))

    def of(self, name: str) -> NDArray[np.bool_]:
        """Where a structure is: bool (time, slice, row, column)."""
        return np.asarray(self.labels == self.table.labels[self.table.index(name)].value)

    def judged(self, name: str) -> NDArray[np.bool_]:
        """Where a structure was judged: bool (time, slice); all False if the mask does not hold it."""
        if name not in self.table.names:
            return np.zeros(self.annotated.shape[:2], dtype=np.bool_)
        return self.annotated[:, :, self.table.index(name)]


def _foreign(labels: NDArray[Any], values: Iterable[int]) -> int | None:
    """The least value that is neither background nor in the table, or None."""
    known = np.zeros(256, dtype=np.bool_)
    known[[0, *values]] = True
    # A whole cine has millions of labels: its maximum is found a hundred times faster than they are sorted.
    if labels.dtype == np.uint8 and bool(known[: int(labels.max(initial=0)) + 1].all()):
        return None
    foreign = np.setdiff1d(np.unique(labels), np.flatnonzero(known))
    return int(foreign[0]) if foreign.size else None


def _freeze(mask: Mask, **arrays: NDArray[Any]) -> None:
    for name, array in arrays.items():
        view = array.view()
        view.flags.writeable = False
        object.__setattr__(mask, name, view)

"""What was looked at: the statement in a request -> annotated[time, slice, structure]."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from irp_kernel import Geometry, LabelTable, Mask
from numpy.typing import NDArray

from irp_annotation.domain.errors import BadAnnotated
from irp_annotation.domain.structures import Structures

Statement = Mapping[str, object]


def read_annotated(text: str) -> Statement | None:
    """The JSON of a request; None if nothing was said.

    Raises:
        BadAnnotated: not a JSON object.
    """
    if not text.strip():
        return None
    try:
        statement = json.loads(text)
    except ValueError:
        raise BadAnnotated from None
    if not isinstance(statement, dict):
        raise BadAnnotated
    return statement


def apply_annotated(mask: Mask, statement: Statement, structures: Structures) -> Mask:
    """The mask with exactly the stated (time, slice) pairs annotated; what is not listed is unknown.

    A structure that is stated but not in the mask joins its table: judged, and found absent. Labels outside the
    stated pairs are kept but count as unknown.

    Raises:
        BadAnnotated: an entry is neither a list of pairs nor frames and slices, or lies outside the grid.
        UnknownStructure: it names what is not known.
    """
    said = {structures.canonical(name): _pairs(entry, mask.geometry) for name, entry in statement.items()}
    names = LabelTable.canonical([*mask.table.names, *(name for name in said if name not in mask.table.names)])
    if not names.labels:
        return mask
    nothing = np.zeros((mask.geometry.frames, mask.geometry.shape[0]), dtype=np.bool_)
    annotated = np.stack([said.get(name, nothing) for name in names.names], axis=-1)
    return Mask(geometry=mask.geometry, labels=mask.labels, table=names, annotated=annotated)


def state_annotated(mask: Mask) -> dict[str, list[list[int]]]:
    """The same statement, from a mask: structure -> [[time, slice], ...]."""
    return {name: np.argwhere(mask.judged(name)).tolist() for name in mask.table.names}


def _pairs(entry: object, geometry: Geometry) -> NDArray[np.bool_]:
    where = np.zeros((geometry.frames, geometry.shape[0]), dtype=np.bool_)
    if entry is True:
        where[:] = True
    elif isinstance(entry, dict) and set(entry) <= {"frames", "slices"}:
        frames = _indices(entry.get("frames"), geometry.frames)
        slices = _indices(entry.get("slices"), geometry.shape[0])
        where[np.ix_(frames, slices)] = True
    elif isinstance(entry, list):
        for pair in entry:
            if not isinstance(pair, list) or len(pair) != 2:
                raise BadAnnotated
            (frame,), (slice_,) = _indices(pair[:1], geometry.frames), _indices(pair[1:], geometry.shape[0])
            where[frame, slice_] = True
    else:
        raise BadAnnotated
    return where


def _indices(values: object, count: int) -> list[int]:
    if values is None:
        return list(range(count))
    if not isinstance(values, list) or any(isinstance(v, bool) or not isinstance(v, int) for v in values):
        raise BadAnnotated
    if any(not 0 <= v < count for v in values):
        raise BadAnnotated(f"an index lies outside 0 to {count - 1}")
    return values

"""From accepted masks to examples: one slice each, with channels by name and the list of what was judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from irp_kernel import Mask, Volume
from numpy.typing import NDArray
from torch import Tensor

from irp_training.domain.sampling import Window

LV = ("lv_blood_pool", "lv_myocardium")
INSIDE = {"scar": "lv_myocardium", "no_reflow": "lv_myocardium"}  # part of, where a model has no channel of its own
WALL = 1.35  # side of the whole left ventricle over that of its blood pool, where only the latter was drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One slice at one time.

    Attributes:
        image: (row, column) float32.
        labels: (row, column) uint8: 0, or 1 + the place of the structure among the model's.
        judged: bool (structures,).
        box: square around the left ventricle of the whole series; None if no slice of it was judged.
    """

    image: Tensor
    labels: Tensor
    judged: Tensor
    box: Window | None


def examples_of(volume: Volume, mask: Mask, structures: Sequence[str]) -> list[Example]:
    """The slices of a series on which at least one of the structures was judged.

    Raises:
        GeometryMismatch: the mask lies on another grid.
    """
    volume.geometry.require_same_grid(mask.geometry)
    labels, judged = channels(mask, structures)
    box = heart_box(mask)
    found = []
    for frame, place in np.argwhere(judged.any(axis=2)):
        found.append(
            Example(
                image=torch.from_numpy(volume.array[frame, place].astype(np.float32)),
                labels=torch.from_numpy(labels[frame, place].copy()),
                judged=torch.from_numpy(judged[frame, place].copy()),
                box=box,
            )
        )
    return found


def channels(mask: Mask, structures: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Labels in the model's channels, and what was judged of them.

    Returns:
        uint8 (time, slice, row, column) with 1 + place of the structure, and bool (time, slice, structures).
        Pixels of a structure that the model does not know are background, but those of scar and no-reflow are
        myocardium, for they lie in it.
    """
    place = {name: number for number, name in enumerate(structures, start=1)}
    table = np.zeros(256, dtype=np.uint8)
    for label in mask.table.labels:
        table[label.value] = place.get(label.name, place.get(INSIDE.get(label.name, ""), 0))
    judged = np.stack([mask.judged(name) for name in structures], axis=-1)
    return table[mask.labels], judged


def heart_box(mask: Mask) -> Window | None:
    """The square around the left ventricle over every slice and frame; None if nothing of it was drawn."""
    drawn = {name: _extent(mask, (name,)) for name in LV if name in mask.table.names}
    whole = _extent(mask, (*LV, *INSIDE))
    if whole is None:
        return None
    only_pool = drawn.get("lv_myocardium") is None
    return Window(row=whole.row, column=whole.column, side=whole.side * (WALL if only_pool else 1.0))


def _extent(mask: Mask, names: Sequence[str]) -> Window | None:
    found = [mask.of(name).any(axis=(0, 1)) for name in names if name in mask.table.names]
    flat = np.logical_or.reduce(found) if found else np.zeros((1, 1), dtype=np.bool_)
    if not flat.any():
        return None
    rows, columns = np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0))
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    return Window(
        row=(rows[0] + rows[-1]) / 2, column=(columns[0] + columns[-1]) / 2, side=float(max(height, width))
    )

"""From accepted masks to examples: one slice each, with channels by name and the list of what was judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from irp_bundle import LEFT_VENTRICLE, as_images, left_ventricle, windows_of_truth
from irp_kernel import Mask, Volume
from numpy.typing import NDArray
from torch import Tensor

from irp_training.domain.samples.nested import INSIDE

WALL = 1.35  # size of the whole left ventricle over that of its blood pool, where only the latter was drawn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stack:
    """All slices of a series at one time.

    Attributes:
        images: float32 (slice, 1, row, column).
        labels: uint8 (slice, row, column); see `Example`.
        judged: bool (slice, structures).
        boxes: float64 (slice, 3); see `heart_boxes`.
        spacing_mm: (slice, row, column).
    """

    images: Tensor
    labels: Tensor
    judged: Tensor
    boxes: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One slice at one time.

    Attributes:
        image: float32 (1, 1, row, column).
        labels: uint8 (1, row, column): 0, or 1 + the place of the structure among the model's.
        judged: bool (structures,).
        box: float32 (1, 3): centre row and column in this slice, and size of the left ventricle of the series, in
            pixels; size 0 if nothing of it was drawn.
        ventricle: bool (1, row, column): the left ventricle as drawn, also what the model has no channel for.
        whole: the left ventricle was judged as a whole, pool and wall.
        patient: pseudonym, for figures by patient.
        pixel_mm: (row, column), size of a pixel of the image.
        stack: that it is a slice of, where a net sees more than single slices.
    """

    image: Tensor
    labels: Tensor
    judged: Tensor
    box: Tensor
    ventricle: Tensor
    whole: bool
    patient: str = ""
    pixel_mm: tuple[float, float] = (1.0, 1.0)
    stack: Stack | None = None


def stacked_examples_of(volume: Volume, mask: Mask, structures: Sequence[str]) -> list[Example]:
    """As `examples_of`, each with the stack that it is a slice of; they share the stack's memory.

    Raises:
        As `examples_of`.
    """
    volume.geometry.require_same_grid(mask.geometry)
    labels, judged = channels(mask, structures)
    boxes, spacing_mm = heart_boxes(mask), volume.geometry.spacing_mm
    stacks = {
        int(frame): Stack(
            images=as_images(volume.array[frame]),
            labels=torch.from_numpy(labels[frame].copy()),
            judged=torch.from_numpy(judged[frame].copy()),
            boxes=boxes,
            spacing_mm=spacing_mm,
        )
        for frame in np.flatnonzero(judged.any(axis=(1, 2)))
    }
    whole, ventricle = mask.judged("lv_blood_pool") & mask.judged("lv_myocardium"), left_ventricle(mask)
    return [
        Example(
            image=stack.images[place][None],
            labels=stack.labels[place][None],
            judged=stack.judged[place],
            box=torch.from_numpy(boxes[place][None].astype(np.float32)),
            ventricle=torch.from_numpy(ventricle[frame, place][None].copy()),
            whole=bool(whole[frame, place]),
            pixel_mm=spacing_mm[1:],
            stack=stack,
        )
        for frame, stack in stacks.items()
        for place in np.flatnonzero(judged[frame].any(axis=1)).tolist()
    ]


def examples_of(volume: Volume, mask: Mask, structures: Sequence[str]) -> list[Example]:
    """The slices of a series on which at least one of the structures was judged.

    Raises:
        GeometryMismatch: the mask lies on another grid.
        ImageNotFinite: the image holds NaN or infinity.
    """
    volume.geometry.require_same_grid(mask.geometry)
    labels, judged = channels(mask, structures)
    whole, ventricle = mask.judged("lv_blood_pool") & mask.judged("lv_myocardium"), left_ventricle(mask)
    boxes = heart_boxes(mask)
    _, row_mm, column_mm = volume.geometry.spacing_mm
    return [
        Example(
            image=as_images(volume.array[frame, place][None]),
            labels=torch.from_numpy(labels[frame, place][None].copy()),
            judged=torch.from_numpy(judged[frame, place].copy()),
            box=torch.from_numpy(boxes[place][None].astype(np.float32)),
            ventricle=torch.from_numpy(ventricle[frame, place][None].copy()),
            whole=bool(whole[frame, place]),
            pixel_mm=(row_mm, column_mm),
        )
        for frame, place in np.argwhere(judged.any(axis=2))
    ]


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


def heart_boxes(mask: Mask) -> NDArray[np.float64]:
    """(slice, 3): centre and size of the left ventricle as a perfect first stage would find them, in pixels."""
    truth = windows_of_truth(mask, margin=1.0)
    boxes = np.array(truth.windows)
    drawn = {name for name in LEFT_VENTRICLE if name in mask.table.names and mask.of(name).any()}
    boxes[:, 2] = truth.box * (WALL if drawn == {"lv_blood_pool"} else 1.0)
    return boxes

"""A picture of one slice: the image in grey, the expert's borders in white, the network's in colour.

Nothing is written into the picture or its file: no text, no name, no date.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from irp_kernel.outline import outline
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Which = Literal["best", "median", "worst"]
WHICH: tuple[Which, ...] = ("best", "median", "worst")
SIDE = 384  # pixels of the longer side, about
GAMMA = 0.8  # below 1 brightens dark muscle
EXPERT = (255, 255, 255)
COLOURS = ((45, 212, 191), (251, 146, 60), (167, 139, 250), (250, 204, 21), (248, 113, 113))  # by label, from 1
PENS = (*COLOURS, EXPERT)
GREYS = 256 - len(PENS)  # of a palette; one byte per pixel is compressed in a tenth of the time that three take
PALETTE = [round(255 * grey / (GREYS - 1)) for grey in range(GREYS) for _ in range(3)] + [
    c for pen in PENS for c in pen
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """One picture of a checkpoint.

    Attributes:
        epoch: counts through both stages from 1.
        which: place among the slices that were looked at, by Dice.
        dice: mean of the judged structures on this slice.
        picture: PNG.
    """

    epoch: int
    which: Which
    dice: float
    picture: bytes


def draw_overlay(image: NDArray[Any], expert: NDArray[np.uint8], found: NDArray[np.uint8]) -> bytes:
    """PNG of one slice; the same slice gives the same bytes.

    Args:
        image: (row, column), any numbers; shown from the 1st to the 99th percentile.
        expert: labels (row, column), 0 = nothing.
        found: the network's labels (row, column), 0 = nothing.
    """
    zoom = max(1, round(SIDE / max(image.shape)))
    low, high = np.percentile(image, (1, 99))
    grey = np.clip((image.astype(np.float64) - low) / max(float(high - low), 1e-9), 0, 1) ** GAMMA * (GREYS - 1)
    size = (image.shape[1] * zoom, image.shape[0] * zoom)
    enlarged = Image.fromarray(grey.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    picture = enlarged.point([min(value, GREYS - 1) for value in range(256)])
    picture.putpalette(PALETTE)
    pen = ImageDraw.Draw(picture)
    for labels, width in ((found, 2), (expert, 1)):
        for label in np.unique(labels[labels > 0]).tolist():
            colour = 255 if labels is expert else GREYS + (label - 1) % len(COLOURS)  # place in the palette
            for line in outline(labels == label):
                points = [tuple(point) for point in ((line + 0.5) * zoom).tolist()]
                pen.line([*points, points[0]], fill=colour, width=width)
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1)  # the slowest makes files smaller by 4 % and takes thrice as long
    return out.getvalue()


def chosen(dice: list[float]) -> dict[Which, int]:
    """Places of the best, the middle and the worst; empty for none."""
    order = [int(place) for place in np.argsort(dice, kind="stable")]
    return {"best": order[-1], "median": order[len(order) // 2], "worst": order[0]} if order else {}

"""Image slices with the outlines of masks, as PNG data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ZOOM = 3  # output pixels per image pixel
GAMMA = 0.8  # below 1 brightens the dark lung and blood-free muscle
MARGIN = 26  # image pixels around everything that is outlined

Colour = tuple[int, int, int]
EXPERT: Colour = (255, 255, 255)
BEFORE: Colour = (251, 146, 60)
AFTER: Colour = (45, 212, 191)

Outline = tuple[NDArray[np.bool_], Colour]


def picture(image: NDArray[Any], outlines: Sequence[Outline]) -> str:
    """One slice, cropped around its outlines and enlarged, as a data URI.

    Args:
        image: (row, column), any numbers; shown from the 1st to the 99th percentile of what is seen.
        outlines: (bool (row, column), colour); later ones lie above.
    """
    rows, columns = _window([region for region, _ in outlines], image.shape)
    seen = image[rows, columns].astype(np.float64)
    low, high = np.percentile(seen, (1, 99))
    grey = np.clip((seen - low) / max(high - low, 1e-9), 0, 1) ** GAMMA * 255
    canvas = _smooth(grey.astype(np.uint8))
    for region, colour in outlines:
        canvas[_border(region[rows, columns])] = colour
    return data_uri(_png(canvas), "image/png")


def data_uri(content: bytes, media_type: str) -> str:
    """Bytes as an address that holds them."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _window(regions: Sequence[NDArray[np.bool_]], shape: tuple[int, ...]) -> tuple[slice, slice]:
    together = np.zeros(shape, dtype=np.bool_)
    for region in regions:
        together |= region
    if not together.any():
        return slice(0, shape[0]), slice(0, shape[1])
    where = np.argwhere(together)
    side = int((where.max(axis=0) - where.min(axis=0)).max()) // 2 + MARGIN
    middle = (where.max(axis=0) + where.min(axis=0)) // 2
    starts = [int(np.clip(middle[axis] - side, 0, shape[axis] - 1)) for axis in (0, 1)]
    ends = [int(np.clip(middle[axis] + side, starts[axis] + 1, shape[axis])) for axis in (0, 1)]
    return slice(starts[0], ends[0]), slice(starts[1], ends[1])


def _smooth(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image

    rows, columns = grey.shape
    large = Image.fromarray(grey).resize((columns * ZOOM, rows * ZOOM), Image.Resampling.BICUBIC)
    return np.repeat(np.asarray(large, dtype=np.uint8)[:, :, np.newaxis], 3, axis=2)


def _border(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of the enlarged region that touch its outside: two wide."""
    large = region.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
    inside = large.copy()
    for _ in range(2):
        shrunk = inside.copy()
        shrunk[1:] &= inside[:-1]
        shrunk[:-1] &= inside[1:]
        shrunk[:, 1:] &= inside[:, :-1]
        shrunk[:, :-1] &= inside[:, 1:]
        inside = shrunk
    return np.asarray(large & ~inside)


def _png(canvas: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(canvas).save(file, "PNG", optimize=True)
    return file.getvalue()

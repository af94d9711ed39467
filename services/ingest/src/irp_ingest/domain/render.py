"""Frames as pictures: modality transformation, window, size. Source: PS3.18 section 8.3.5, PS3.3 C.11.2."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.pixels.utils import pixel_array

from irp_ingest.domain.errors import RegionOutside
from irp_ingest.domain.frames import frame_count, index_of, read, readable

FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF"}
BATCH_FRAMES, BATCH_PIXELS = 32, 1 << 24  # of pictures that are made at once, so that they fit in memory
SPREAD = (0.5, 99.5)  # percentiles that become black and white where no window is said


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which values are shown; function "linear", "linear-exact" or "sigmoid". Source: PS3.3 C.11.2.1.2."""

    center: float
    width: float
    function: str = "linear"

    def __call__(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values -> 0 (black) to 1 (white)."""
        if self.function == "sigmoid":
            return 1 / (1 + np.exp(np.clip(-4 * (values - self.center) / self.width, -60, 60)))
        exact = self.function == "linear-exact"
        center, width = (self.center, self.width) if exact else (self.center - 0.5, max(self.width - 1, 1e-6))
        return np.clip((values - center) / width + 0.5, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is wanted.

    Attributes:
        frame: counted from 1; 0 = the middle one.
        media_type: key of `FORMATS`.
        window: instead of the file's own.
        size: largest (width, height) in pixels, or None for the image's own.
        region: (x, y, width, height) of the image; zeros = up to the edge.
        quality: of JPEG.
    """

    frame: int
    media_type: str
    window: Window | None = None
    size: tuple[int, int] | None = None
    region: tuple[int, int, int, int] = (0, 0, 0, 0)
    quality: int = 90


def render(file: bytes, wanted: Picture) -> bytes:
    """An encoded picture of one frame.

    Raises:
        FrameUnknown: there is no such frame.
        RegionOutside: the region lies outside the image.
        PixelsNotReadable: no pixels, or they cannot be decoded.
    """
    return readable(lambda: _rendered(read(file), wanted, wanted.frame))


def render_batch(file: bytes, wanted: Picture, numbers: Sequence[int]) -> tuple[list[tuple[int, bytes]], Sequence[int]]:
    """Pictures of the first of the numbered frames (none named = all) with their numbers, and the numbers left over.

    Raises:
        FrameUnknown: one of the numbers is none of the instance's frames.
        RegionOutside, PixelsNotReadable: as `render`.
    """
    return readable(lambda: _render_batch(read(file), wanted, numbers))


def _render_batch(
    dataset: Dataset, wanted: Picture, numbers: Sequence[int]
) -> tuple[list[tuple[int, bytes]], Sequence[int]]:
    numbers = numbers or range(1, frame_count(dataset) + 1)
    for number in numbers:
        index_of(dataset, number)
    width, height = wanted.size or (dataset.Columns, dataset.Rows)
    size = max(1, min(BATCH_FRAMES, BATCH_PIXELS // max(1, width * height)))
    made = [(number, _rendered(dataset, wanted, number)) for number in numbers[:size]]
    return made, numbers[size:]


def _rendered(dataset: Dataset, wanted: Picture, number: int) -> bytes:
    index = index_of(dataset, number or (frame_count(dataset) + 1) // 2)
    return _encoded(_sized(Image.fromarray(_shown(dataset, index, wanted.window)), wanted), wanted)


def _shown(dataset: Dataset, index: int, window: Window | None) -> NDArray[np.uint8]:
    """(row, column) grey or (row, column, 3) red, green, blue."""
    pixels = pixel_array(dataset, index=index)
    kind = dataset.PhotometricInterpretation
    if kind == "PALETTE COLOR":
        return _eight_bits(apply_color_lut(pixels, dataset), _lut_bits(dataset))[..., :3]
    if dataset.SamplesPerPixel > 1:
        return _eight_bits(pixels, dataset.BitsStored)
    grey = _windowed(pixels, dataset, index, window)
    return np.asarray(np.rint(255 * (1 - grey if kind == "MONOCHROME1" else grey)), np.uint8)


def _windowed(pixels: NDArray[Any], dataset: Dataset, index: int, window: Window | None) -> NDArray[Any]:
    values = _modality(pixels, dataset, index)
    window = window or _own_window(dataset, index)
    if window is None and "VOILUTSequence" in dataset:
        looked_up = apply_voi(values.astype(np.int64), dataset)
        return looked_up / max(float(looked_up.max()), 1.0)
    if window is None:
        low, high = np.percentile(values, SPREAD)
        window = Window(center=(low + high) / 2, width=max(high - low, 1e-6), function="linear-exact")
    return window(values)


def _modality(pixels: NDArray[Any], dataset: Dataset, index: int) -> NDArray[Any]:
    transformation = _macro(dataset, index, "PixelValueTransformationSequence")
    if transformation is None:
        return np.asarray(apply_modality_lut(pixels, dataset), np.float64)
    return pixels * float(transformation.RescaleSlope) + float(transformation.RescaleIntercept)


def _own_window(dataset: Dataset, index: int) -> Window | None:
    """The first window of the frame, else of the instance."""
    said = _macro(dataset, index, "FrameVOILUTSequence") or dataset
    center, width = (_first(said.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if center is None or not width or width <= 0:
        return None
    function = str(said.get("VOILUTFunction") or "LINEAR").lower().replace("_", "-")
    return Window(center=center, width=width, function=function)


def _macro(dataset: Dataset, index: int, name: str) -> Dataset | None:
    """An item of a functional group of the frame, else of all frames. Source: PS3.3 C.7.6.16."""
    for groups, at in (("PerFrameFunctionalGroupsSequence", index), ("SharedFunctionalGroupsSequence", 0)):
        items = dataset.get(groups) or []
        if at < len(items) and items[at].get(name):
            return items[at][name].value[0]  # type: ignore[no-any-return]
    return None


def _first(value: Any) -> float | None:
    if value in (None, ""):
        return None
    return float(value[0] if isinstance(value, list) or hasattr(value, "__iter__") else value)


def _lut_bits(dataset: Dataset) -> int:
    """Bits of a palette's entries. Source: PS3.3 C.7.6.3.1.5."""
    return int(dataset.RedPaletteColorLookupTableDescriptor[2])


def _eight_bits(pixels: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    return np.asarray(pixels >> max(0, bits - 8), np.uint8)


def _sized(image: Image.Image, wanted: Picture) -> Image.Image:
    x, y, width, height = wanted.region
    if x or y or width or height:
        box = (x, y, x + (width or image.width - x), y + (height or image.height - y))
        if box[0] >= box[2] or box[1] >= box[3] or box[2] > image.width or box[3] > image.height:
            raise RegionOutside(f"the image has {image.width} columns and {image.height} rows")
        image = image.crop(box)
    if wanted.size is None:
        return image
    scale = min(wanted.size[0] / image.width, wanted.size[1] / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BILINEAR if scale > 1 else Image.Resampling.LANCZOS)


def _encoded(image: Image.Image, wanted: Picture) -> bytes:
    buffer = io.BytesIO()
    image.save(
        buffer, FORMATS[wanted.media_type], **({"quality": wanted.quality} if "jpeg" in wanted.media_type else {})
    )
    return buffer.getvalue()

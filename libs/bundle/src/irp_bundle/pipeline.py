"""Two networks, one answer: locate the left ventricle in the whole slice, segment inside its window, put it back.

In: a volume and an engine (anything that answers logits). Out: a mask on the volume's own grid and what happened.
Where the heart is depends on the volume alone, never on which slices were asked: one slice asked alone gives the
same labels as in its series.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from irp_kernel import Mask, Volume
from irp_kernel.errors import InvalidArgument
from irp_kernel.mask import VALUE_OF
from numpy.typing import NDArray
from torch import Tensor

from irp_bundle.boxes import Box, Located, agree, box_of, box_to_image, whole
from irp_bundle.bundle import BACKGROUND, Bundle
from irp_bundle.networks import Stage
from irp_bundle.post import post_process
from irp_bundle.prepare import as_images, prepare_locate, prepare_segment
from irp_bundle.sampling import paste, whole_windows

CLOSER_LOOKS = 3  # at most; a box that was first seen too small or too large is found out by the next look
SAME_SIZE = 0.05  # relative difference of two looks from which they agree

Engine = Callable[[Stage, NDArray[np.float32]], NDArray[np.float32]]
"""(stage, batch (N, 1, size, size)) -> logits (N, channels, size, size), both float32."""


class NoSuchSlice(InvalidArgument):
    """The request names a slice or a frame that the image does not have.

    Slices and frames count from 0; the detail says how many there are.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineReport:
    """What happened on the way.

    Attributes:
        located: windows and outcome per slice.
        slices: those that were segmented.
        frames: those that were segmented.
        timings_ms: per stage: locate, segment, post.
    """

    located: Located
    slices: tuple[int, ...]
    frames: tuple[int, ...]
    timings_ms: dict[str, float] = field(default_factory=dict)


class Pipeline:
    """A bundle in use. Holds no state between calls."""

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self.bundle, self.spec = bundle, bundle.spec
        self.engine = engine
        values = [0 if name == BACKGROUND else VALUE_OF[name] for name in bundle.channels]
        self._value_of_channel = np.asarray(values, dtype=np.uint8)

    def run(
        self,
        volume: Volume,
        *,
        frames: Sequence[int] | None = None,
        slices: Sequence[int] | None = None,
        located: Located | None = None,
    ) -> tuple[Mask, PipelineReport]:
        """Segment some or all slices and frames.

        Args:
            volume: (time, slice, row, column).
            frames: None or empty = all.
            slices: None or empty = all.
            located: stage 1's verdict on this volume, if it is known already.

        Returns:
            Mask on the volume's grid (only what was asked for is annotated), and the report.

        Raises:
            NoSuchSlice: a number is out of range.
            ImageNotFinite: the image holds NaN or infinity.
        """
        wanted_frames = _wanted(frames, volume.geometry.frames)
        wanted_slices = _wanted(slices, volume.geometry.shape[0])
        began = time.perf_counter()
        located = self.locate(volume) if located is None else located
        found = time.perf_counter()
        labels = self._segment(volume, located, wanted_frames, wanted_slices)
        segmented = time.perf_counter()
        mask = self._mask(volume, labels, wanted_frames, wanted_slices)
        done = time.perf_counter()
        timings = {"locate": found - began, "segment": segmented - found, "post": done - segmented}
        return mask, PipelineReport(
            located=located,
            slices=wanted_slices,
            frames=wanted_frames,
            timings_ms={stage: round(1e3 * seconds, 3) for stage, seconds in timings.items()},
        )

    def locate(self, volume: Volume) -> Located:
        """Stage 1: where the left ventricle is, in every slice; a function of the volume alone.

        Raises:
            ImageNotFinite: the image holds NaN or infinity.
        """
        frames, slices, rows, columns = volume.array.shape
        if "locate" not in self.bundle.stages:
            return whole(slices, (rows, columns))
        spec = self.spec.locate
        keys = key_frames(frames, spec.frames)
        images = as_images(volume.array[list(keys)].reshape(-1, rows, columns))
        found = self._agree(self._look(images, whole_windows(images)), slices, (rows, columns))
        for _ in range(CLOSER_LOOKS if spec.look_again else 0):
            if not found.box:
                break
            # Where the series as a whole says that the heart is, at one size for all slices.
            closer = np.column_stack([found.windows[:, :2], np.full(slices, found.box * spec.look_again)])
            windows = torch.from_numpy(np.tile(closer, (len(keys), 1))).float()
            size, found = found.box, self._agree(self._look(images, windows), slices, (rows, columns))
            if abs(found.box / size - 1) < SAME_SIZE:
                break
        return found

    def _agree(self, boxes: list[Box | None], slices: int, shape: tuple[int, int]) -> Located:
        found = [(number % slices, box) for number, box in enumerate(boxes) if box is not None]
        return agree(found, slices, shape, margin=self.spec.locate.margin, fallback=self.spec.locate.fallback)

    def _look(self, images: Tensor, windows: Tensor) -> list[Box | None]:
        """One look at windows of the images: boxes in the images' pixels."""
        spec = self.spec.locate
        logits = self.engine("locate", prepare_locate(images, spec, windows).numpy())
        needed = np.log(spec.threshold / (1 - spec.threshold))
        regions = logits[:, 1] - logits[:, 0] > needed
        found = [box_of(region, spec.min_pixels) for region in regions]
        return [b and box_to_image(b, w, spec.size) for b, w in zip(found, windows.double().numpy(), strict=True)]

    def _segment(
        self, volume: Volume, located: Located, frames: tuple[int, ...], slices: tuple[int, ...]
    ) -> NDArray[np.uint8]:
        """Stage 2: canonical labels (frames x slices, rows, columns)."""
        shape = (volume.geometry.shape[1], volume.geometry.shape[2])
        images = as_images(volume.array[np.ix_(frames, slices)].reshape(-1, *shape))
        windows = torch.from_numpy(np.tile(located.windows[list(slices)], (len(frames), 1))).float()
        logits = self.engine("segment", prepare_segment(images, windows, self.spec.segment).numpy())
        channels = paste(torch.from_numpy(logits), windows, shape).numpy()
        return np.asarray(self._value_of_channel[channels], dtype=np.uint8)

    def _mask(
        self, volume: Volume, labels: NDArray[np.uint8], frames: tuple[int, ...], slices: tuple[int, ...]
    ) -> Mask:
        tidy = post_process(labels, self.spec.post).reshape(len(frames), len(slices), *volume.geometry.shape[1:])
        table = self.bundle.table
        full = np.zeros(volume.geometry.array_shape, dtype=np.uint8)
        annotated = np.zeros((volume.geometry.frames, volume.geometry.shape[0], len(table.labels)), dtype=np.bool_)
        full[np.ix_(frames, slices)] = tidy
        annotated[np.ix_(frames, slices)] = True
        return Mask(geometry=volume.geometry, labels=full, table=table, annotated=annotated)


def key_frames(frames: int, wanted: int) -> tuple[int, ...]:
    """Frames spread evenly over the cycle, beginning with the first: 20 frames, 2 wanted -> (0, 10)."""
    count = min(frames, wanted)
    return tuple(number * frames // count for number in range(count))


def _wanted(numbers: Sequence[int] | None, count: int) -> tuple[int, ...]:
    if not numbers:
        return tuple(range(count))
    if min(numbers) < 0 or max(numbers) >= count:
        raise NoSuchSlice(there_are=count)
    return tuple(sorted(set(numbers)))

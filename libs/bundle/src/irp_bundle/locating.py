"""Stage 1: where the left ventricle is, in every slice of a volume; a function of the volume alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from irp_bundle.boxes import Box, Located, agree, box_of, box_to_image
from irp_bundle.prepare import as_images, prepare_locate
from irp_bundle.sampling import at_spacing, whole_windows
from irp_bundle.seen import Seen
from irp_bundle.spec import LocateSpec
from irp_bundle.steps import Forward, Steps

CLOSER_LOOKS = 3  # at most; a box that was first seen too small or too large is found out by the next look
SAME_SIZE = 0.05  # relative difference of two looks from which they agree


class Locating:
    """Looks at key frames, as a whole and then closer, until two looks agree."""

    def __init__(self, spec: LocateSpec, seen: Seen) -> None:
        self._spec, self._seen = spec, seen
        frames, self._slices = seen.array.shape[:2]
        self._keys = key_frames(frames, spec.frames)
        self._images = as_images(seen.array[list(self._keys)].reshape(-1, *seen.plane))

    def __call__(self) -> Steps[Located]:
        """The verdict."""
        spec = self._spec
        found = yield from self._look(whole_windows(self._images))
        for _ in range(CLOSER_LOOKS if spec.look_again else 0):
            if not found.box:
                break
            # Where the series as a whole says that the heart is, at one size for all slices.
            closer = np.column_stack([found.windows[:, :2], np.full(self._slices, found.box * spec.look_again)])
            size = found.box
            found = yield from self._look(torch.from_numpy(np.tile(closer, (len(self._keys), 1))).float())
            if abs(found.box / size - 1) < SAME_SIZE:
                break
        return found

    def _look(self, windows: Tensor) -> Steps[Located]:
        """One look at windows of the images, and what the slices agree on."""
        spec = self._spec
        if spec.spacing:
            windows = at_spacing(windows, spec.size, spec.spacing, self._seen.pixel_mm)
        logits = yield Forward("locate", prepare_locate(self._images, spec, windows).numpy())
        needed = np.log(spec.threshold / (1 - spec.threshold))
        regions = logits[:, 1] - logits[:, 0] > needed
        boxes = [box_of(region, spec.min_pixels) for region in regions]
        found: list[tuple[int, Box]] = [
            (number % self._slices, box_to_image(box, window, spec.size))
            for number, (box, window) in enumerate(zip(boxes, windows.double().numpy(), strict=True))
            if box is not None
        ]
        return agree(found, self._slices, self._seen.plane, margin=spec.margin, fallback=spec.fallback)


def key_frames(frames: int, wanted: int) -> tuple[int, ...]:
    """Frames spread evenly over the cycle, beginning with the first: 20 frames, 2 wanted -> (0, 10)."""
    count = min(frames, wanted)
    return tuple(number * frames // count for number in range(count))

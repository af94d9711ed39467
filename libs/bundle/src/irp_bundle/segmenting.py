"""Stage 2 on what was asked: by slice (2d), with its neighbours (2.5d), by sliding patches (3d), or by a program."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from irp_bundle.boxes import Located
from irp_bundle.bundle import Bundle
from irp_bundle.certainty import SoftDice, entropy, strongest
from irp_bundle.patches import region_of, slide
from irp_bundle.prepare import as_stacks, prepare_segment
from irp_bundle.program import Program
from irp_bundle.programmed import Answer, look, units
from irp_bundle.sampling import PASTE_CHUNK, at_spacing, paste, paste_values
from irp_bundle.scores import ask, softmax
from irp_bundle.seen import Seen
from irp_bundle.segmented import Options
from irp_bundle.steps import Steps
from irp_bundle.symmetry import IDENTITY
from irp_bundle.tiles import scaled, tile


class Segmenting:
    """One answer of stage 2.

    Attributes:
        frames, slices: what was asked, ascending.
        channels: uint8 (frame x slice, row, column), the strongest channel on the seen grid.
        uncertainty: like channels, 0 to 255; None = not asked for.
        confidence: like channels, 0 to 255; None = not asked for.
        windows: float64 (slice, 3 or 4), what was looked at.
    """

    def __init__(
        self,
        bundle: Bundle,
        seen: Seen,
        located: Located,
        frames: tuple[int, ...],
        slices: tuple[int, ...],
        options: Options,
    ) -> None:
        self._bundle, self._spec, self._seen, self._options = bundle, bundle.spec.segment, seen, options
        self._augment = bundle.spec.augment if options.test_time_augmentation else ()
        self._located, self.frames, self.slices = located, frames, slices
        count = len(frames) * len(slices)
        self.channels = np.zeros((count, *seen.plane), dtype=np.uint8)
        self.uncertainty = np.zeros_like(self.channels) if options.uncertainty else None
        self.confidence = np.zeros_like(self.channels) if options.confidence else None
        self.windows = np.zeros((0, 3))
        self._soft = SoftDice()

    def __call__(self) -> Steps[None]:
        """Ask for the passes, and put the answers on the image's grid."""
        if self._bundle.spec.program is not None:
            yield from self._by_program(self._bundle.spec.program)
        elif self._spec.slide:
            yield from self._by_tiles()
        else:
            yield from (self._by_region() if self._spec.dimension == "3d" else self._by_slice())

    def narrowed(self, slices: tuple[int, ...]) -> Segmenting:
        """The same, for some of its slices."""
        if slices == self.slices:
            return self
        places = [self.slices.index(number) for number in slices]
        rows = [frame * len(self.slices) + place for frame in range(len(self.frames)) for place in places]
        found = copy(self)
        found.slices, found.windows, found.channels = slices, self.windows[places], self.channels[rows]
        found.uncertainty = None if self.uncertainty is None else self.uncertainty[rows]
        found.confidence = None if self.confidence is None else self.confidence[rows]
        return found

    def expected_dice(self, places: Mapping[str, int]) -> dict[str, float]:
        """What the network expects of itself, per structure; empty = it was not asked."""
        return self._soft.of(places)

    @property
    def parameters(self) -> dict[str, str]:
        """How stage 2 looked, as text, for the answer's provenance."""
        spec = self._spec
        found = {
            "dimension": self._bundle.spec.dimension,
            "grid": "x".join(map(str, self._bundle.spec.input_shape[1:])),
        }
        if spec.spacing:
            found["spacing_mm"] = f"{spec.spacing:g}"
        if len(self._bundle.members) > 1:
            found["members"] = str(len(self._bundle.members))
        if self._augment:
            found["augmentations"] = ",".join(self._augment)
        if self._seen.way != IDENTITY:
            found["orientation"] = self._bundle.spec.orientation
        return {f"segment.{key}": value for key, value in found.items()}

    def _by_slice(self) -> Steps[None]:
        windows = torch.from_numpy(self._located.windows[list(self.slices)])
        if self._spec.spacing:
            windows = at_spacing(windows, self._spec.size, self._spec.spacing, self._seen.pixel_mm)
        self.windows = windows.numpy()
        windows = windows.repeat(len(self.frames), 1).float()
        inputs = prepare_segment(as_stacks(self._stacks()), windows, self._spec).numpy()
        scores = torch.from_numpy((yield from ask(self._bundle.members, self._augment, inputs)))
        self._keep(slice(None), scores, windows)

    def _stacks(self) -> NDArray[np.generic]:
        """(frame x slice, channel, row, column): each slice, in 2.5d with its neighbours of the same frame."""
        around = self._spec.neighbours if self._spec.dimension == "2.5d" else 0
        last = self._seen.array.shape[1] - 1
        numbers = np.clip(np.add.outer(self.slices, np.arange(-around, around + 1)), 0, last)
        stacks = self._seen.array[np.asarray(self.frames)[:, None, None], numbers[None]]
        return np.asarray(stacks.reshape(-1, *stacks.shape[2:]))

    def _by_region(self) -> Steps[None]:
        region = region_of(self._spec, self._located, self._seen.spacing_mm)
        self.windows = np.tile(region.window, (len(self.slices), 1))
        windows = torch.from_numpy(self.windows).float()
        for place, frame in enumerate(self.frames):
            array = self._seen.array[frame]
            scores = yield from slide(array, region, self.slices, self._spec, self._bundle.members, self._augment)
            self._keep(slice(place * len(self.slices), (place + 1) * len(self.slices)), scores, windows)

    def _by_tiles(self) -> Steps[None]:
        self.windows = self._located.windows[list(self.slices)]
        windows = torch.from_numpy(self.windows).float()
        for place, frame in enumerate(self.frames):
            images = scaled(self._seen.array[frame], self._spec.normalise)[list(self.slices)]
            first = place * len(self.slices)
            for begin in range(0, len(images), PASTE_CHUNK):
                some = images[begin : begin + PASTE_CHUNK]
                scores = yield from tile(some, self._spec.look, self._bundle.members, self._augment)
                part = slice(first + begin, first + begin + len(some))
                self.channels[part] = scores.argmax(dim=1).numpy()
                self._doubt(part, scores, windows[begin : begin + len(some)])

    def _by_program(self, program: Program) -> Steps[None]:
        self.windows = self._located.windows[list(self.slices)]
        begin = 0
        for frame in self.frames:
            for unit in units(program, self._seen.array[frame], self._seen.matrix, self.slices):
                answer = yield from look(program, unit, self._bundle.members)
                part = slice(begin, begin + len(unit.slices))
                self.channels[part] = answer.labels()
                self._doubt_of(part, answer)
                begin = part.stop

    def _doubt_of(self, part: slice, answer: Answer) -> None:
        """As `_doubt`; what the network expects of itself is told of the whole image that it looked at."""
        if not self._in_doubt:
            return
        probabilities = answer.probabilities()
        self._soft.add(probabilities)
        if self.uncertainty is not None:
            self.uncertainty[part] = answer.on_image(torch.from_numpy(entropy(probabilities))[0])
        if self.confidence is not None:
            self.confidence[part] = answer.on_image(torch.from_numpy(strongest(probabilities))[0])

    @property
    def _in_doubt(self) -> bool:
        return self._options.estimate or self._options.uncertainty or self._options.confidence

    def _keep(self, part: slice, scores: Tensor, windows: Tensor) -> None:
        self.channels[part] = paste(scores, windows, self._seen.plane).numpy()
        self._doubt(part, scores, windows)

    def _doubt(self, part: slice, scores: Tensor, windows: Tensor) -> None:
        if not self._in_doubt:
            return
        probabilities = softmax(scores.numpy())
        self._soft.add(probabilities)
        if self.uncertainty is not None:
            self.uncertainty[part] = self._on_image(entropy(probabilities), windows)
        if self.confidence is not None:
            self.confidence[part] = self._on_image(strongest(probabilities), windows)

    def _on_image(self, values: NDArray[np.float32], windows: Tensor) -> NDArray[np.uint8]:
        planes = torch.from_numpy(values)
        if self._spec.slide:  # tiles lie on the image's own grid
            return np.asarray(planes[:, 0].round().byte().numpy())
        return np.asarray(paste_values(planes, windows, self._seen.plane).numpy())

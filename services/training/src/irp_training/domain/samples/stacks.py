"""The lesson of a net with three axes: patches out of a stack of slices, as they slide over it in inference.

The grid, the resampling and the intensities are irp_bundle's. Training lays the stack out at random, then cuts a patch
at random, often about something that was drawn; without randomness it is the patch in the middle. What nobody judged
is unknown slice by slice: a plane between two slices is known where both are, and one beyond the outermost never is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from irp_bundle import Located, SegmentSpec, normalise, sample_labels
from irp_bundle.patches import Region, between, planes_of, region_of
from numpy.typing import NDArray
from torch import Tensor

from irp_training.domain.samples.augment import Augmentation, jitter, relight, roughen, slip, turn
from irp_training.domain.samples.examples import Example, Stack
from irp_training.domain.samples.nested import enclosing, known_labels
from irp_training.domain.samples.stages import Sample

UPSIDE_DOWN = 0.5  # share of stacks whose base and apex change places, where examples need not be upright
AT_A_SLICE = 0.05  # of the way to the next: a plane so near to a slice is that slice
Corner = tuple[int, int, int]  # the first plane, row and column of a patch


@dataclass(frozen=True, slots=True)
class _Laid:
    """A stack on its region's grid.

    Attributes:
        image: float32 (plane, row, column), the network's intensities.
        labels: int64 (plane, row, column).
        judged: bool (plane, structures).
    """

    image: Tensor
    labels: Tensor
    judged: Tensor


@dataclass(frozen=True, slots=True)
class SegmentStack:
    """Net 2 with three axes: see `irp_bundle.patches`.

    Attributes:
        structures: names of the channels after the background.
        spec: of stage 2, with `dimension` "3d".
        margin: side of a slice's window over size of the box.
        foreground: share of the patches that are laid about something drawn.
    """

    structures: tuple[str, ...]
    spec: SegmentSpec
    margin: float
    foreground: float = 1 / 3
    name: str = "segment"
    unit: str = "patches"

    def usable(self, examples: Sequence[Example]) -> list[Example]:
        """One slice for each stack in which the left ventricle was drawn: it stands for its stack."""
        found = {id(one.stack): one for one in reversed(examples) if one.stack is not None and float(one.box[0, 2]) > 0}
        return list(reversed(found.values()))

    def sample(self, example: Example, generator: np.random.Generator | None, how: Augmentation) -> Sample:
        """A patch: image (1, plane, row, column), labels (plane, row, column), judged (plane, structures)."""
        stack = example.stack
        if stack is None:
            raise ValueError("an example without its stack")
        region = self._region(stack)
        laid = self._laid(stack, region, generator, how)
        if generator is not None and how.strength > 0 and generator.random() < UPSIDE_DOWN * (1 - how.upright):
            laid = _Laid(laid.image.flip(0), laid.labels.flip(0), laid.judged.flip(0))
        z, row, column = self._corner(laid, generator)
        cut = (
            slice(z, z + self.spec.depth),
            slice(row, row + self.spec.size),
            slice(column, column + self.spec.size),
        )
        return laid.image[cut][None], laid.labels[cut], laid.judged[cut[0]]

    def pixel_mm(self, example: Example) -> tuple[float, float]:
        """See Stage.pixel_mm."""
        if example.stack is None:
            raise ValueError("an example without its stack")
        region, (_, row_mm, column_mm) = self._region(example.stack), example.stack.spacing_mm
        _, _, height, width = region.window.tolist()
        return height * row_mm / region.size, width * column_mm / region.size

    def _region(self, stack: Stack) -> Region:
        windows = stack.boxes * np.array([1.0, 1.0, self.margin])
        return region_of(
            self.spec, Located(windows=windows, outcomes=(), box=float(stack.boxes[0, 2])), stack.spacing_mm
        )

    def _laid(self, stack: Stack, region: Region, generator: np.random.Generator | None, how: Augmentation) -> _Laid:
        count = len(stack.images)
        windows, turned = torch.from_numpy(region.window).float().expand(count, 4), None
        augmented = generator is not None and how.strength > 0
        if generator is not None and augmented:
            size = float(stack.boxes[0, 2])
            windows = slip(_moved(windows, size, generator, how.strength), size, generator, how.strength)
            turned = turn(generator, how).expand(count, 2, 2)
        planes = planes_of(stack.images, region, self.spec, windows, turned)[None]
        if generator is not None and augmented:
            lit = normalise(relight(planes, generator, how.strength), self.spec.normalise)
            image = roughen(lit, generator, how.strength)[0]
        else:
            image = normalise(planes, self.spec.normalise)[0]
        nearest, judged = _known_planes(stack.judged, region)
        labels = sample_labels(stack.labels, windows, region.size, turned)
        return _Laid(image, labels[nearest], judged)

    def _corner(self, laid: _Laid, generator: np.random.Generator | None) -> Corner:
        """Where the patch begins: in the middle; or at random, where it holds a plane that somebody judged."""
        room = [
            n - p for n, p in zip(laid.labels.shape, (self.spec.depth, self.spec.size, self.spec.size), strict=True)
        ]
        if generator is None:
            return room[0] // 2, room[1] // 2, room[2] // 2
        if generator.random() < self.foreground:
            drawn = known_labels(laid.labels, laid.judged, enclosing(self.structures))
            present = torch.unique(drawn[drawn > 0]).tolist()
            if present:
                return self._about(drawn == present[int(generator.integers(len(present)))], room, generator)
        seen = np.flatnonzero(laid.judged.any(dim=1).numpy())
        last = min(room[0], int(seen.max())) if seen.size else room[0]
        first = max(0, int(seen.min()) - self.spec.depth + 1) if seen.size else 0
        row, column = (int(generator.integers(n + 1)) for n in room[1:])
        return int(generator.integers(min(first, last), last + 1)), row, column

    def _about(self, drawn: Tensor, room: Sequence[int], generator: np.random.Generator) -> Corner:
        places = torch.nonzero(drawn)
        z, row, column = places[int(generator.integers(len(places)))].tolist()
        begin = [z - self.spec.depth // 2, row - self.spec.size // 2, column - self.spec.size // 2]
        z, row, column = (min(max(0, at), most) for at, most in zip(begin, room, strict=True))
        return z, row, column


def _moved(windows: Tensor, size: float, generator: np.random.Generator, strength: float) -> Tensor:
    """The region's square, moved and scaled as an imperfect first stage would."""
    row, column, scale = jitter(torch.tensor([[0.0, 0.0, 1.0]]), size, generator, strength)[0].tolist()
    return windows * torch.tensor([1.0, 1.0, scale, scale]) + torch.tensor([row, column, 0.0, 0.0])


def _known_planes(judged: Tensor, region: Region) -> tuple[list[int], Tensor]:
    """For each plane of the grid the slice whose labels it takes, and what is known of it (plane, structures)."""
    below, above, share = between(region.planes, len(judged))
    nearest: NDArray[np.int64] = np.where(share < 0.5, below, above)
    both = judged[below] & judged[above]
    at_slice = torch.from_numpy((share < AT_A_SLICE) | (share > 1 - AT_A_SLICE))
    known = torch.where(at_slice[:, None], judged[nearest.tolist()], both)
    steps = np.arange(len(region.planes))
    within = torch.from_numpy((steps >= region.at[0] - 0.5) & (steps <= region.at[-1] + 0.5))
    return nearest.tolist(), known & within[:, None]

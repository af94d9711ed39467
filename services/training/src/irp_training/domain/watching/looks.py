"""Some validation slices with the net's answers, kept while all are judged: to be shown, and to be measured further."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from irp_training.domain.feeding.ranks import Ranks
from irp_training.domain.samples.examples import Example
from irp_training.domain.samples.stages import Sample

LOOKED_AT = 48  # slices at most, spread evenly over the validation set

Labels = NDArray[np.uint8]  # (row, column) of a window: 0, or 1 + place of the structure


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """One slice.

    Attributes:
        example: whose slice it is.
        plane: which of the sample's: 0, or more where a net sees several slices at once.
        found: the net's labels, in its window.
        truth: what was drawn, in the same window.
        judged: bool (structures,).
    """

    example: Example
    plane: int
    found: Labels
    truth: Labels
    judged: NDArray[np.bool_]


class Looks:
    """Takes answers one by one, keeps some; ranks put together what each of them kept.

    Args:
        examples: all that are judged, by whichever rank.
        sample: of one of them; all have its shape.
    """

    def __init__(self, examples: Sequence[Example], sample: Sample) -> None:
        _, labels, judged = sample
        self._examples, self._shape = examples, labels.shape[-2:]
        self._planes = labels.shape[0] if labels.ndim == 3 else 1
        count = len(examples) * self._planes
        every = max(1, -(-count // LOOKED_AT))
        self._chosen = range(self._planes // 2 % every, count, every)  # the middle one where it is one of each sample
        width = 2 * self._shape.numel() + judged.shape[-1]
        self._kept = torch.zeros((len(self._chosen), width), dtype=torch.uint8)

    def see(self, place: int, found: Tensor, labels: Tensor, judged: Tensor) -> None:
        """The answer on the example at a place, what was drawn, and what is known of it."""
        for plane in range(self._planes):
            number = place * self._planes + plane
            if number in self._chosen:
                parts = [whole.reshape(self._planes, -1)[plane] for whole in (found, labels, judged)]
                self._kept[self._chosen.index(number)] = torch.cat([part.to(torch.uint8) for part in parts]).cpu()

    def together(self, ranks: Ranks) -> list[Look]:
        """Every rank's, in order."""
        rows = self._kept if ranks.size == 1 else ranks.sum(self._kept.to(ranks.device)).cpu()
        return [self._look(number, row) for number, row in zip(self._chosen, rows, strict=True)]

    def _look(self, number: int, row: Tensor) -> Look:
        place, plane = divmod(number, self._planes)
        pixels = self._shape.numel()
        found, truth = row[: 2 * pixels].reshape(2, *self._shape).numpy()
        judged = row[2 * pixels :].bool().numpy()
        return Look(example=self._examples[place], plane=plane, found=found, truth=truth, judged=judged)

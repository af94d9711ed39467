"""Dice of one net on the validation slices, in its own window: the curve that people watch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from irp_training.domain.ahead import made_ahead
from irp_training.domain.augment import NONE
from irp_training.domain.batches import collate
from irp_training.domain.examples import Example
from irp_training.domain.ranks import Ranks, share
from irp_training.domain.stages import Sample, Stage


class Validation:
    """Judges a net; ranks look at their share each and add up what they counted.

    Args:
        stage: whose windows the net sees.
        device: where it is.
        ranks: who shares the slices.
        threads_ahead: that draw the next slices meanwhile.
    """

    def __init__(self, stage: Stage, device: torch.device, ranks: Ranks, threads_ahead: int) -> None:
        self._stage, self._device, self._ranks, self._threads_ahead = stage, device, ranks, threads_ahead

    def __call__(self, net: nn.Module, examples: Sequence[Example], size: int) -> dict[str, float]:
        """Dice per structure over all judged slices.

        Args:
            net: in any mode; it is judged as in inference, in float32.
            examples: of the validation split.
            size: slices per pass.
        """
        usable = self._stage.usable(examples)
        mine = usable[share(self._ranks, len(usable))]
        counted = torch.zeros((2, len(self._stage.structures)), dtype=torch.float64)  # overlap, both sizes
        net.eval()

        def as_inference_sees(start: int) -> list[Sample]:
            return [self._stage.sample(example, None, NONE) for example in mine[start : start + size]]

        for samples in made_ahead(as_inference_sees, range(0, len(mine), size), self._threads_ahead):
            counted += self._count(net, samples)
        overlap, total = self._ranks.sum(counted.to(self._device)).cpu().numpy()
        pairs = zip(self._stage.structures, overlap, total, strict=True)
        return {name: float(2 * both / either) for name, both, either in pairs if either > 0}

    def _count(self, net: nn.Module, samples: Sequence[Sample]) -> torch.Tensor:
        image, labels, judged = collate(samples, self._device)
        with torch.no_grad():
            found = net(image).argmax(dim=1)
        counted = np.zeros((2, len(self._stage.structures)))
        for place in range(len(self._stage.structures)):
            seen = judged[:, place, None, None]
            a, b = (found == place + 1) & seen, (labels == place + 1) & seen
            counted[:, place] = float((a & b).sum()), float(a.sum() + b.sum())
        return torch.from_numpy(counted)

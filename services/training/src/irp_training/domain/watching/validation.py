"""One net on the validation slices, in its own window: Dice, the curve that people watch, and slices to look at.

A net with three axes is judged on the patch in the middle of each stack; the examination at the end slides over all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from irp_training.domain.feeding.ahead import made_ahead
from irp_training.domain.feeding.batches import collate
from irp_training.domain.feeding.ranks import Ranks, share
from irp_training.domain.samples.augment import NONE
from irp_training.domain.samples.examples import Example
from irp_training.domain.samples.nested import enclosing, known_labels
from irp_training.domain.samples.stages import Sample, Stage
from irp_training.domain.watching.looks import Look, Looks

Counted = dict[str, dict[str, tuple[float, float]]]
"""Structure -> patient -> (twice the pixels in common, all pixels): parts of Dice; who judged nothing is left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What is found on all validation slices, and some of them to look at; all ranks have the same."""

    counted: Counted
    looks: list[Look]


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

    def __call__(self, net: nn.Module, examples: Sequence[Example], size: int) -> Judged:
        """Pixels of all judged slices, and the answers on a few.

        Args:
            net: in any mode; it is judged as in inference, in float32.
            examples: of the validation split.
            size: slices per pass.
        """
        usable = self._stage.usable(examples)
        if not usable:
            return Judged({}, [])
        looks = Looks(usable, self._stage.sample(usable[0], None, NONE))
        places = range(len(usable))[share(self._ranks, len(usable))]
        mine = [usable[place] for place in places]
        patients = sorted({example.patient for example in usable})
        # (patient, structure, 2): twice the overlap, both sizes
        counted = torch.zeros((len(patients), len(self._stage.structures), 2), dtype=torch.float64)
        inside = enclosing(self._stage.structures)
        net.eval()

        def as_inference_sees(start: int) -> list[Sample]:
            return [self._stage.sample(example, None, NONE) for example in mine[start : start + size]]

        starts = range(0, len(mine), size)
        for start, samples in zip(starts, made_ahead(as_inference_sees, starts, self._threads_ahead), strict=True):
            whose = [patients.index(example.patient) for example in mine[start : start + size]]
            image, labels, judged = collate(samples, self._device)
            found, labels = (known_labels(whose, judged, inside) for whose in (labels_of(net, image), labels))
            counted.index_add_(0, torch.tensor(whose), self._count(found, labels, judged))
            for at, place in enumerate(places[start : start + size]):
                looks.see(place, found[at], labels[at], judged[at])
        return Judged(self._by_patient(counted, patients), looks.together(self._ranks))

    def _by_patient(self, counted: torch.Tensor, patients: Sequence[str]) -> Counted:
        sums = self._ranks.sum(counted.to(self._device)).cpu()
        return {
            name: {
                patient: (float(sums[row, place, 0]), float(sums[row, place, 1]))
                for row, patient in enumerate(patients)
                if sums[row, place, 1] > 0
            }
            for place, name in enumerate(self._stage.structures)
            if sums[:, place, 1].sum() > 0
        }

    def _count(self, found: torch.Tensor, labels: torch.Tensor, judged: torch.Tensor) -> torch.Tensor:
        """(sample, structure, 2): twice the overlap, both sizes."""
        counted = torch.zeros((len(found), len(self._stage.structures), 2), dtype=torch.float64)
        for place in range(len(self._stage.structures)):
            seen = judged[..., place, None, None]  # of a slice, or of each plane of a patch
            a, b = ((whose == place + 1) & seen for whose in (found, labels))
            counted[:, place, 0] = 2.0 * (a & b).flatten(1).sum(dim=1).cpu()
            counted[:, place, 1] = (a.flatten(1).sum(dim=1) + b.flatten(1).sum(dim=1)).double().cpu()
        return counted


def labels_of(net: nn.Module, image: torch.Tensor) -> torch.Tensor:
    """The strongest channel per pixel, (N, *size); the net is left as it is in inference."""
    net.eval()
    with torch.no_grad():
        found: torch.Tensor = net(image).argmax(dim=1)
    return found


def dice_of(counted: Counted) -> dict[str, float]:
    """Dice per structure over all patients together."""
    sums = {name: tuple(map(sum, zip(*parts.values(), strict=True))) for name, parts in counted.items()}
    return {name: both / either for name, (both, either) in sums.items()}

"""Learning one stage, step by step, so that stopping and going on changes nothing.

The state is: weights, their moving average, the optimizer's moments, and the number of epochs done. Order, windows and
light of every slice are drawn from (seed, stage, epoch, place), so this number is the whole state of randomness.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from irp_training.domain.ahead import made_ahead
from irp_training.domain.augment import NONE
from irp_training.domain.errors import NothingJudged, RunDiverged
from irp_training.domain.examples import Example
from irp_training.domain.loss import partial_loss, remembering_loss
from irp_training.domain.recipe import STAGES, Recipe
from irp_training.domain.stages import Sample, Stage

WARM_UP = 0.15  # share of the steps in which the learning rate rises
CLIP_NORM = 5.0


class Trainer:
    """Trains one net; `threads_ahead` threads draw the next batches meanwhile, and change nothing else."""

    def __init__(
        self,
        net: nn.Module,
        stage: Stage,
        examples: Sequence[Example],
        recipe: Recipe,
        device: torch.device,
        base: nn.Module | None = None,
        threads_ahead: int = 0,
    ) -> None:
        self._stage, self._recipe, self._device = stage, recipe, device
        self._examples = stage.usable(examples)
        if not self._examples:
            raise NothingJudged(stage=stage.name)
        self._net = net.to(device)
        self._base = base.to(device).eval() if base is not None and recipe.remember > 0 else None
        self._average = copy.deepcopy(self._net)
        pairs = list(zip(self._average.state_dict().values(), self._net.state_dict().values(), strict=True))
        self._averaged = [pair for pair in pairs if pair[0].dtype.is_floating_point]
        self._counted = [pair for pair in pairs if not pair[0].dtype.is_floating_point]
        self._optimizer = torch.optim.AdamW(
            self._net.parameters(), lr=recipe.rate_of(stage.name), weight_decay=recipe.weight_decay
        )
        self._threads_ahead = threads_ahead
        self.epochs_done = 0

    @property
    def stage(self) -> Stage:
        """What is learnt."""
        return self._stage

    @property
    def steps_per_epoch(self) -> int:
        """Small datasets repeat within an epoch."""
        return max(self._recipe.min_steps, len(self._examples) // self._recipe.batch)

    @property
    def epochs(self) -> int:
        """How many there will be."""
        return self._recipe.epochs_of(self._stage.name)

    def epoch(self) -> Iterator[float]:
        """One pass: the loss of each step; the epoch counts as done when the iterator ends.

        Raises:
            RunDiverged: the loss is not finite.
        """
        self._net.train()
        for step, samples in enumerate(made_ahead(self._batch, range(self.steps_per_epoch), self._threads_ahead)):
            yield self._step(step, samples)
        self.epochs_done += 1

    def weights(self) -> dict[str, Tensor]:
        """What is kept: the moving average, on the CPU."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self._average.state_dict().items()}

    def validate(self, examples: Sequence[Example]) -> dict[str, float]:
        """Dice per structure over all validation slices, in the stage's own window, on judged slices only."""
        sums = {
            name: np.sum(list(parts.values()), axis=0) for name, parts in self.validate_by_patient(examples).items()
        }
        return {name: float(both / either) for name, (both, either) in sums.items() if either > 0}

    def validate_by_patient(self, examples: Sequence[Example]) -> dict[str, dict[str, tuple[float, float]]]:
        """Per structure and patient: twice the pixels in common, and all pixels, on judged slices only."""
        usable, size = self._stage.usable(examples), self._recipe.batch
        found: dict[str, dict[str, tuple[float, float]]] = {}

        def as_inference_sees(start: int) -> list[Sample]:
            return [self._stage.sample(example, None, NONE) for example in usable[start : start + size]]

        starts = range(0, len(usable), size)
        for start, samples in zip(starts, made_ahead(as_inference_sees, starts, self._threads_ahead), strict=True):
            answers = self.answer(samples)
            for example, (_, labels, judged), answer in zip(
                usable[start : start + size], samples, answers, strict=True
            ):
                for place, name in enumerate(self._stage.structures):
                    if judged[place]:
                        a, b = answer == place + 1, labels.numpy() == place + 1
                        parts = found.setdefault(name, {})
                        both, either = parts.get(example.patient, (0.0, 0.0))
                        common, pixels = 2.0 * int((a & b).sum()), int(a.sum()) + int(b.sum())
                        parts[example.patient] = both + common, either + pixels
        return found

    def answer(self, samples: Sequence[Sample]) -> NDArray[np.uint8]:
        """Labels (sample, row, column) of the moving average, 1 + place of the structure."""
        self._average.eval()
        found, size = list[NDArray[np.uint8]](), self._recipe.batch
        for start in range(0, len(samples), size):
            image = torch.stack([sample[0] for sample in samples[start : start + size]]).to(self._device)
            with torch.no_grad():
                found.append(self._average(image).argmax(dim=1).to(torch.uint8).cpu().numpy())
        return np.concatenate(found)

    def state(self) -> dict[str, Any]:
        """Everything that going on needs."""
        return {
            "net": self._net.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "epochs_done": self.epochs_done,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._net.load_state_dict(state["net"])
        self._average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.epochs_done = int(state["epochs_done"])

    def _step(self, step: int, samples: list[Sample]) -> float:
        image, labels, judged = self._collate(samples)
        done = self.epochs_done * self.steps_per_epoch + step
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.rate_of(self._stage.name) * one_cycle(done, self.epochs * self.steps_per_epoch)
        self._optimizer.zero_grad()
        loss = self._loss(image, labels, judged)
        if not math.isfinite(value := loss.item()):
            raise RunDiverged(step=done)
        loss.backward()
        nn.utils.clip_grad_norm_(self._net.parameters(), CLIP_NORM)
        self._optimizer.step()
        self._follow(done)
        return value

    def _loss(self, image: Tensor, labels: Tensor, judged: Tensor) -> Tensor:
        logits: Tensor = self._net(image)
        loss = partial_loss(logits, labels, judged)
        if self._base is None or bool(judged.all()):
            return loss
        with torch.no_grad():
            base_logits = self._base(image)
        return loss + self._recipe.remember * remembering_loss(logits, base_logits, labels, judged)

    def _follow(self, done: int) -> None:
        decay = min(self._recipe.ema, (done + 1) / (done + 10))
        averages, now = zip(*self._averaged, strict=True)
        with torch.no_grad():
            # All at once: on a GPU, starting one kernel per tensor would take as long as a step's gradients.
            torch._foreach_lerp_(averages, now, 1 - decay)
            for average, count in self._counted:
                average.copy_(count)

    def _batch(self, step: int) -> list[Sample]:
        """Slices of a step: consecutive places in an endless row of shuffled passes over the examples."""
        size, count = self._recipe.batch, len(self._examples)
        first = (self.epochs_done * self.steps_per_epoch + step) * size
        return [self._draw(*divmod(place, count)) for place in range(first, first + size)]

    def _draw(self, round_: int, place: int) -> Sample:
        seed = (self._recipe.seed, STAGES.index(self._stage.name), round_)
        chosen = np.random.default_rng(seed).permutation(len(self._examples))[place]
        return self._stage.sample(
            self._examples[int(chosen)], np.random.default_rng((*seed, place)), self._recipe.augmentation
        )

    def _collate(self, samples: Sequence[Sample]) -> Sample:
        image, labels, judged = (torch.stack(parts).to(self._device) for parts in zip(*samples, strict=True))
        return image, labels, judged


def one_cycle(step: int, steps: int) -> float:
    """Share of the highest learning rate: rises along a cosine, then falls along one to nearly nothing."""
    at = step / max(1, steps - 1)
    if at < WARM_UP:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * at / WARM_UP)) / 2
    return 1e-4 + (1 - 1e-4) * (1 + math.cos(math.pi * (at - WARM_UP) / (1 - WARM_UP))) / 2

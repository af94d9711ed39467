"""Learning one stage, step by step, so that stopping and going on changes nothing.

The state is: weights, their moving average, the optimizer's moments, the best pass, and the number of epochs done.
Order, windows and light of every slice are drawn from (seed, stage, epoch, place), and what a net draws itself
(dropout) from (seed, stage, step, rank), so this number is the whole state of randomness.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from irp_training.domain.errors import NothingJudged, RunDiverged
from irp_training.domain.feeding.ahead import made_ahead
from irp_training.domain.feeding.batches import Batches, collate
from irp_training.domain.feeding.ranks import Alone, Ranks
from irp_training.domain.learning.best import Best
from irp_training.domain.learning.gradients import Gradients
from irp_training.domain.learning.tempo import Tempo
from irp_training.domain.networks.mixed import Mixed
from irp_training.domain.networks.rates import Rates
from irp_training.domain.recipes.recipe import STAGES, Recipe
from irp_training.domain.samples.augment import NONE
from irp_training.domain.samples.examples import Example
from irp_training.domain.samples.loss import partial_loss, remembering_loss
from irp_training.domain.samples.nested import enclosing
from irp_training.domain.samples.stages import Sample, Stage
from irp_training.domain.watching.validation import Judged, Validation, dice_of

WARM_UP = 0.15  # share of the steps in which the learning rate rises
CLIP_NORM = 5.0


class Trainer:
    """Trains one net; `threads_ahead` threads draw the next batches meanwhile, and change nothing else.

    Attributes:
        epochs_done: passes so far.
        best: the pass that was best on the validation slices, if the recipe may end early.
        tempo: of the present pass.
        judged: the last validation.
    """

    def __init__(
        self,
        net: nn.Module,
        stage: Stage,
        examples: Sequence[Example],
        recipe: Recipe,
        device: torch.device,
        base: nn.Module | None = None,
        threads_ahead: int = 0,
        ranks: Ranks | None = None,
        old: Sequence[Example] = (),
    ) -> None:
        self._stage, self._recipe, self._device = stage, recipe, device
        usable = stage.usable(examples)
        if not usable:
            raise NothingJudged(stage=stage.name)
        self._net = net.to(device)
        self._average = copy.deepcopy(self._net)
        pairs = _pairs(self._average, self._net)
        self._averaged = [pair for pair in pairs if pair[0].dtype.is_floating_point]
        self._counted = [pair for pair in pairs if not pair[0].dtype.is_floating_point]
        self._rates = self._rates_of(usable[0])
        self._optimizer = torch.optim.AdamW(
            self._rates.groups, lr=recipe.rate_of(stage.name), weight_decay=recipe.weight_decay
        )
        together: Ranks = ranks or Alone()
        self._rank = together.rank
        remembered = base.to(device).eval() if base is not None and recipe.remember > 0 else None
        self._mixed = Mixed(recipe.amp, device)
        self._gradients = Gradients(self._net, remembered, self._loss, self._mixed, together)
        self._batches = Batches(stage, usable, recipe, together, stage.usable(old))
        self._validation = Validation(stage, device, together, threads_ahead)
        self._threads_ahead = threads_ahead
        self.epochs_done, self.best, self.tempo = 0, Best(), Tempo(device)
        self.judged = Judged({}, [])

    @property
    def stage(self) -> Stage:
        """What is learnt."""
        return self._stage

    @property
    def epochs(self) -> int:
        """How many there will be."""
        return self._recipe.epochs_of(self._stage.name)

    @property
    def slices_at_once(self) -> int:
        """Slices per pass through the net: fewer than the recipe's batch where memory was short."""
        return min(self._gradients.most or self._recipe.batch, self._recipe.batch)

    @property
    def short_of_memory(self) -> bool:
        """A batch did not fit as a whole."""
        return self.slices_at_once < self._recipe.batch

    def epoch(self) -> Iterator[float]:
        """One pass: the loss of each step; the epoch counts as done when the iterator ends.

        Raises:
            RunDiverged: the loss is not finite.
            OutOfMemory: the device cannot learn from one slice at a time.
        """
        self._net.train()
        self._rates.keep_still()
        self.tempo.begin()
        first = self.epochs_done * self._batches.per_epoch
        steps = range(first, first + self._batches.per_epoch)
        batches = made_ahead(self._batches.draw, steps, self._threads_ahead)
        for samples, step in zip(self.tempo.waiting_for(batches, self._recipe.batch), steps, strict=True):
            yield self._step(step, samples)
        self.epochs_done += 1

    def weights(self, *, best: bool = False) -> dict[str, Tensor]:
        """What is kept: the moving average, on the CPU; of the best pass, if asked for and there is one."""
        if best and self.best.weights is not None:
            return self.best.weights
        return {name: tensor.detach().cpu().clone() for name, tensor in self._average.state_dict().items()}

    def validate(self, examples: Sequence[Example]) -> dict[str, float]:
        """Dice per structure over all validation slices, in the stage's own window, on judged slices only."""
        self.judged = self._validation(self._average, examples, self.slices_at_once)
        scores = dice_of(self.judged.counted)
        if self._recipe.may_end_early:
            self.best.see(self.epochs_done, scores, self.weights())
        return scores

    def state(self) -> dict[str, Any]:
        """Everything that going on needs."""
        return {
            "net": self._net.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "epochs_done": self.epochs_done,
            "best": self.best.state(),
            "mixed": self._mixed.state(),
            "most": self._gradients.most,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state; those of earlier releases lack what these did not know."""
        self._net.load_state_dict(state["net"])
        self._average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.epochs_done = int(state["epochs_done"])
        self._mixed.load(state.get("mixed", {}))
        self._gradients.most = state.get("most")
        if "best" in state:
            self.best.load(state["best"])

    def _rates_of(self, example: Example) -> Rates:
        image = self._stage.sample(example, None, NONE)[0][None].to(self._device)
        if self._stage.name != "segment":
            return Rates(self._net, image)
        return Rates(self._net, image, self._recipe.frozen, self._recipe.layer_decay)

    def _step(self, step: int, samples: list[Sample]) -> float:
        steps = self.epochs * self._batches.per_epoch
        for group in self._optimizer.param_groups:
            rate = self._recipe.rate_of(self._stage.name) * one_cycle(step, steps)
            group["lr"] = group.get("share", 1.0) * rate  # checkpoints of earlier releases have no shares
        seed = _seed_of(self._recipe.seed, STAGES.index(self._stage.name), step, self._rank)
        loss = self._gradients(*collate(samples, self._device), count=self._recipe.batch, seed=seed)
        if not math.isfinite(loss):
            raise RunDiverged(step=step)
        self._mixed.step(self._optimizer, self._net, CLIP_NORM)
        self._follow(step)
        return loss

    def _loss(self, logits: Tensor, base_logits: Tensor | None, labels: Tensor, judged: Tensor) -> Tensor:
        inside = enclosing(self._stage.structures)
        loss = partial_loss(logits, labels, judged, inside)
        if base_logits is None:
            return loss
        return loss + self._recipe.remember * remembering_loss(logits, base_logits, labels, judged, inside)

    def _follow(self, done: int) -> None:
        decay = min(self._recipe.ema, (done + 1) / (done + 10))
        averages, now = zip(*self._averaged, strict=True)
        with torch.no_grad():
            # All at once: on a GPU, starting one kernel per tensor would take as long as a step's gradients.
            torch._foreach_lerp_(averages, now, 1 - decay)
            for average, count in self._counted:
                average.copy_(count)


def _seed_of(*numbers: int) -> int:
    """One number of 32 bits that depends on all of them."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _pairs(average: nn.Module, net: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Each tensor of both once: a net may list its layers under two names (MONAI's DynUNet does)."""
    both = zip(average.state_dict().values(), net.state_dict().values(), strict=True)
    return list({(one.data_ptr(), one.shape): (one, other) for one, other in both}.values())


def one_cycle(step: int, steps: int) -> float:
    """Share of the highest learning rate: rises along a cosine, then falls along one to nearly nothing."""
    at = step / max(1, steps - 1)
    if at < WARM_UP:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * at / WARM_UP)) / 2
    return 1e-4 + (1 - 1e-4) * (1 + math.cos(math.pi * (at - WARM_UP) / (1 - WARM_UP))) / 2

"""A whole run as a computation: plan and case files in, reports on the way, a bundle and its figures out. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from irp_bundle import Bundle, read_bundle
from torch import Tensor

from irp_training.domain.errors import NothingJudged
from irp_training.domain.feeding.ranks import Alone, Ranks, agreed
from irp_training.domain.learning.allowance import Allowance
from irp_training.domain.learning.batch_size import (
    MOST,
    ON_A_CPU,
    PATCHES_ON_A_CPU,
    largest_that_fits,
    memory_told,
    one_step,
)
from irp_training.domain.learning.checkpoint import Saved, pack, unpack
from irp_training.domain.learning.curriculum import Curriculum
from irp_training.domain.learning.ending import Ending
from irp_training.domain.learning.examination import Examination
from irp_training.domain.learning.limits import Meter
from irp_training.domain.learning.plan import CaseFile, Outcome, Plan, Said, Say
from irp_training.domain.learning.pupils import Pupils, held_out, read_pupils
from irp_training.domain.learning.trainer import Trainer
from irp_training.domain.recipes.configured import Configured
from irp_training.domain.recipes.configuring import configure
from irp_training.domain.recipes.fingerprint import Traits, fingerprint_of
from irp_training.domain.run import Metric, Progress
from irp_training.domain.samples.examples import Example
from irp_training.domain.samples.stages import Stage
from irp_training.domain.watching.borders import border_figures
from irp_training.domain.watching.curves import dice_figures
from irp_training.domain.watching.overlay import Overlay
from irp_training.domain.watching.showing import show

SETS = 100  # of pictures of a run at most: of every n-th pass


class Lesson:
    """Runs a plan; one instance per run and rank.

    Args:
        plan: frozen.
        say: takes reports; only rank 0 has any.
        clock: seconds, monotonic.
        ranks: processes that learn together.
    """

    def __init__(
        self, plan: Plan, say: Say, clock: Callable[[], float] = time.monotonic, ranks: Ranks | None = None
    ) -> None:
        self._plan, self._say, self._clock = plan, say, clock
        self._recipe = plan.recipe
        self._ranks: Ranks = ranks or Alone()
        self._device = torch.device(plan.device)
        self._base: Bundle | None = read_bundle(plan.base) if plan.base else None
        self._taught = Curriculum(plan.recipe, self._base)
        self._meter = Meter(plan.recipe, plan.price, plan.spent_s, clock)
        self._ending = Ending(plan.recipe, self._meter, self._ranks)
        self._saving, self._looking = Allowance(plan.recipe.overhead), Allowance(plan.recipe.overhead)

    def __call__(self, files: Iterable[CaseFile], checkpoint: bytes | None) -> Outcome:
        """Learn, then look at patients that were kept out.

        Args:
            files: read from the beginning twice; the second time those that are held out suffice.
            checkpoint: to go on from.

        Raises:
            NothingJudged: the training split judges none of the structures.
            RunDiverged: the loss is not finite.
            OutOfMemory: the device's memory does not suffice.
        """
        if isinstance(files, Iterator):
            raise TypeError("case files are read twice")
        pupils, saved = self.learn(files, checkpoint)
        self._tell("judging on patients kept out", 0.97)
        plan = replace(self._plan, recipe=self._recipe)
        examine = Examination(plan, self._base, self._taught.structures, self._taught.config, saved.configured)
        with memory_told():
            return replace(examine(held_out(files), pupils.counts, saved.done), remarks=saved.remarks)

    def learn(self, files: Iterable[CaseFile], checkpoint: bytes | None) -> tuple[Pupils, Saved]:
        """What every rank does: the weights of all stages, and whom to examine them on."""
        torch.use_deterministic_algorithms(True, warn_only=self._device.type != "cpu")
        torch.set_num_threads(max(1, self._recipe.threads // self._ranks.size))
        saved = unpack(checkpoint) if checkpoint else Saved()
        survey: list[Traits] | None = [] if self._recipe.configure == "fingerprint" else None
        pupils = read_pupils(files, self._taught.structures, stacked=self._sees_stacks, survey=survey)
        saved = self._configured(survey or (), saved)
        with memory_told():
            saved = self._settled(pupils, saved)
            return pupils, self._train(pupils, saved)

    @property
    def _sees_stacks(self) -> bool:
        spec = self._base.spec if self._base else None
        return self._recipe.dimensions == 3 or (spec is not None and spec.segment.dimension == "3d")

    def _configured(self, survey: Sequence[Traits], saved: Saved) -> Saved:
        """Closes what the recipe leaves open, as the training cases say; for all attempts of the run."""
        if self._recipe.configure != "fingerprint":
            return saved
        if not saved.configured:
            fingerprint = fingerprint_of(survey)
            if fingerprint is None:
                raise NothingJudged(stage="segment")
            saved = replace(saved, configured=configure(fingerprint, self._recipe).to_text())
        closed = Configured.from_text(saved.configured).close(self._recipe)
        # A rank without a share of the batch would have nothing to learn from.
        self._recipe = replace(closed, batch=max(closed.batch, self._ranks.size))
        self._taught = Curriculum(self._recipe, self._base)
        if self._ranks.rank == 0:
            step = Progress(fraction=0.0, step="configured by the training cases")
            self._say(Said(progress=step, spent_s=self._meter.spent_s, configured=saved.configured))
        return saved

    def _settled(self, pupils: Pupils, saved: Saved) -> Saved:
        """Chooses the batch where the recipe leaves it open; for all attempts of the run."""
        if self._recipe.batch:
            return saved
        if not saved.batch:
            batch = agreed(self._ranks, self._largest_batch(pupils.training))
            saved = replace(saved, batch=batch, remarks=(f"a step had {batch} {self._unit}",))
        self._recipe = replace(self._recipe, batch=saved.batch)
        return saved

    @property
    def _unit(self) -> str:
        return "patches" if self._sees_stacks else "slices"

    def _largest_batch(self, examples: list[Example]) -> int:
        if self._device.type == "cpu":
            return PATCHES_ON_A_CPU if self._sees_stacks else ON_A_CPU
        fits = [MOST]
        for stage in self._taught.stages:
            for example in stage.usable(examples)[:1]:
                sample = stage.sample(example, None, self._recipe.augmentation)
                net = self._taught.net(stage).to(self._device)
                fits.append(largest_that_fits(one_step(net, sample, self._recipe.amp, self._device)))
        return max(min(fits), self._ranks.size)

    def _train(self, pupils: Pupils, saved: Saved) -> Saved:
        """With the weights of every stage that is trained."""
        for stage in self._taught.stages:
            if stage.name in saved.done:
                continue
            trainer = self._trainer(stage, pupils)
            if saved.state is not None:
                trainer.load(saved.state)
            remarks = self._run_stage(trainer, stage, pupils.validation, saved)
            done = {**saved.done, stage.name: self._kept(trainer, stage)}
            saved = replace(saved, done=done, state=None, remarks=(*saved.remarks, *remarks))
        return saved

    def _kept(self, trainer: Trainer, stage: Stage) -> dict[str, Tensor]:
        limited = trainer.epochs_done < trainer.epochs  # ended by a limit, or by patience
        return trainer.weights(best=limited or self._recipe.patience > 0)

    def _trainer(self, stage: Stage, pupils: Pupils) -> Trainer:
        # On a CPU learning takes every thread already; beside a GPU the processor would idle.
        ahead = 0 if self._device.type == "cpu" else max(1, self._recipe.threads)
        net, base = self._taught.net(stage), self._taught.remembered(stage)
        return Trainer(
            net, stage, pupils.training, self._recipe, self._device, base, ahead, self._ranks, old=pupils.replay
        )

    def _run_stage(self, trainer: Trainer, stage: Stage, validation: list[Example], saved: Saved) -> list[str]:
        """All passes of a stage; what is to be told of how it ended."""
        end = self._ending(trainer, stage)
        while not end:
            began, losses = self._clock(), self._pass(trainer, stage)
            metrics = self._measure(trainer, stage, losses, validation) if losses else ()
            end = self._ending(trainer, stage)
            if losses and self._ranks.rank == 0:
                self._report(trainer, stage, saved, metrics, began, last=end is not None)
        return end.remarks

    def _pass(self, trainer: Trainer, stage: Stage) -> list[float]:
        """The loss of every step; empty if a limit was reached before the last."""
        losses = list[float]()
        for loss in trainer.epoch():
            losses.append(loss)
            if trainer.epochs_done and self._ending.limit(stage):
                return []
        return losses

    def _measure(
        self, trainer: Trainer, stage: Stage, losses: list[float], validation: list[Example]
    ) -> tuple[Metric, ...]:
        """The points of a pass: tempo is that of learning, without judging."""
        figures = {f"{stage.name}_loss": sum(losses) / len(losses)} | trainer.tempo.figures()
        if validation:
            trainer.validate(validation)
            figures |= dice_figures(trainer.judged.counted)
        if trainer.short_of_memory:
            figures["slices_at_once"] = trainer.slices_at_once
        return self._points(trainer, stage, figures)

    def _epoch(self, trainer: Trainer, stage: Stage) -> int:
        return self._taught.epochs_before(stage) + trainer.epochs_done

    def _points(self, trainer: Trainer, stage: Stage, figures: Mapping[str, float]) -> tuple[Metric, ...]:
        epoch = self._epoch(trainer, stage)
        return tuple(Metric(epoch, name, value) for name, value in figures.items())

    def _report(
        self,
        trainer: Trainer,
        stage: Stage,
        saved: Saved,
        metrics: tuple[Metric, ...],
        began_s: float,
        *,
        last: bool,
    ) -> None:
        """What rank 0 says of a pass; a checkpoint costs until it is handed over."""
        overlays, distances = self._look(trainer, stage, last=last)
        progress = Progress(
            fraction=0.95 * self._epoch(trainer, stage) / self._taught.all_epochs,
            eta_s=self._eta(stage, trainer, self._clock() - began_s),
            step=f"{stage.name}: epoch {trainer.epochs_done} of {trainer.epochs}",
        )
        said = Said(progress=progress, metrics=metrics + distances, spent_s=self._meter.spent_s, overlays=overlays)
        due = trainer.epochs_done % self._recipe.checkpoint_epochs == 0 and self._saving.paid
        if not (due or last):
            self._say(said)
            return
        with self._saving.spending():
            self._say(replace(said, checkpoint=pack(replace(saved, state=trainer.state()))))

    def _look(self, trainer: Trainer, stage: Stage, *, last: bool) -> tuple[tuple[Overlay, ...], tuple[Metric, ...]]:
        """Pictures and distances of borders, where there is time for them."""
        epoch, every = self._epoch(trainer, stage), -(-self._taught.all_epochs // SETS)
        due = epoch % every == 0 and self._looking.paid
        if stage.name != "segment" or not (due or last):
            return (), ()
        with self._looking.spending():
            looks = trainer.judged.looks
            return show(stage, looks, epoch), self._points(trainer, stage, border_figures(stage, looks))

    def _eta(self, stage: Stage, trainer: Trainer, last_s: float) -> float:
        later = self._taught.all_epochs - self._taught.epochs_before(stage) - trainer.epochs
        return last_s * (
            trainer.epochs - trainer.epochs_done + 3 * later
        )  # an epoch of stage 2 takes about 3 of stage 1

    def _tell(self, step: str, fraction: float) -> None:
        self._say(Said(progress=Progress(fraction=fraction, step=step), spent_s=self._meter.spent_s))

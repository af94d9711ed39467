"""A whole run as a computation: plan and case files in, reports on the way, a bundle and its figures out. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import torch
from irp_bundle import Bundle, read_bundle, read_spec
from torch import Tensor, nn

from irp_training.domain.checkpoint import Saved, pack, unpack
from irp_training.domain.examination import Examination
from irp_training.domain.examples import Example
from irp_training.domain.networks import adopt, definitions, fresh
from irp_training.domain.plan import CaseFile, Outcome, Plan, Said, Say
from irp_training.domain.pupils import Pupils, read_pupils
from irp_training.domain.recipe import STAGES
from irp_training.domain.run import Metric, Progress
from irp_training.domain.stages import Locate, Segment, Stage
from irp_training.domain.trainer import Trainer

LEARNT = ("lv_blood_pool", "lv_myocardium", "rv_blood_pool")  # where neither recipe nor base says otherwise


class Lesson:
    """Runs a plan; one instance per run."""

    def __init__(self, plan: Plan, say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        self._plan, self._say, self._clock = plan, say, clock
        self._recipe = plan.recipe
        self._device = torch.device(plan.device)
        self._base: Bundle | None = read_bundle(plan.base) if plan.base else None
        self._structures = self._recipe.structures or (self._base.structures if self._base else LEARNT)
        self._config = definitions(self._recipe, self._structures, self._base)
        self._spec = read_spec(self._config["irp_pipeline"])
        self._examine = Examination(plan, self._base, self._structures, self._config)

    def __call__(self, files: Iterable[CaseFile], checkpoint: bytes | None) -> Outcome:
        """Learn, then look at patients that were kept out.

        Raises:
            NothingJudged: the training split judges none of the structures.
            RunDiverged: the loss is not finite.
        """
        torch.use_deterministic_algorithms(True, warn_only=self._device.type != "cpu")
        torch.set_num_threads(max(1, self._recipe.threads))
        pupils = read_pupils(files, self._structures)
        states = self._train(pupils, unpack(checkpoint) if checkpoint else Saved())
        self._tell("judging on patients kept out", 0.97)
        return self._examine(pupils, states)

    def _train(self, pupils: Pupils, saved: Saved) -> dict[str, dict[str, Tensor]]:
        """Weights per stage: trained, or the base's."""
        for stage in self._stages():
            if stage.name in saved.done:
                continue
            trainer = self._trainer(stage, pupils.training)
            if saved.state is not None:
                trainer.load(saved.state)
            self._run_stage(trainer, stage, pupils.validation, saved)
            saved = Saved(done={**saved.done, stage.name: trainer.weights()})
        return saved.done

    def _trainer(self, stage: Stage, examples: list[Example]) -> Trainer:
        # On a CPU learning takes every thread already; beside a GPU the processor would idle.
        ahead = 0 if self._device.type == "cpu" else max(1, self._recipe.threads)
        net, base = self._net(stage), self._remembered(stage)
        return Trainer(net, stage, examples, self._recipe, self._device, base, ahead)

    def _run_stage(self, trainer: Trainer, stage: Stage, validation: list[Example], saved: Saved) -> None:
        before = self._epochs_before(stage)
        while trainer.epochs_done < trainer.epochs:
            began, losses = self._clock(), list[float]()
            for loss in trainer.epoch():
                losses.append(loss)
            epoch = before + trainer.epochs_done
            scores = trainer.validate(validation) if validation else {}
            metrics = [Metric(epoch, f"{stage.name}_loss", sum(losses) / len(losses))]
            metrics += [Metric(epoch, f"val_dice_{name}", value) for name, value in scores.items()]
            due = trainer.epochs_done % self._recipe.checkpoint_epochs == 0 or trainer.epochs_done == trainer.epochs
            state = pack(Saved(done=saved.done, state=trainer.state())) if due else None
            left = self._eta(stage, trainer, self._clock() - began)
            fraction = 0.95 * epoch / self._all_epochs()
            step = f"{stage.name}: epoch {trainer.epochs_done} of {trainer.epochs}"
            self._say(
                Said(
                    progress=Progress(fraction=fraction, eta_s=left, step=step),
                    metrics=tuple(metrics),
                    checkpoint=state,
                )
            )

    def _eta(self, stage: Stage, trainer: Trainer, last_s: float) -> float:
        later = self._all_epochs() - self._epochs_before(stage) - trainer.epochs
        return last_s * (
            trainer.epochs - trainer.epochs_done + 3 * later
        )  # an epoch of stage 2 takes about 3 of stage 1

    def _stages(self) -> list[Stage]:
        all_: dict[str, Stage] = {
            "locate": Locate(self._structures, self._spec.locate),
            "segment": Segment(self._structures, self._spec.segment, self._spec.locate.margin),
        }
        return [all_[name] for name in STAGES if name in self._recipe.stages]

    def _net(self, stage: Stage) -> nn.Module:
        seed = self._recipe.seed + STAGES.index(stage.name)
        if stage.name == "locate":
            if self._base is not None and "locate" in self._base.stages:
                return self._base.build("locate")
            return fresh(self._config["locate_def"], seed)
        if self._base is not None:
            return adopt(self._base, self._config["network_def"], self._structures, seed)
        return fresh(self._config["network_def"], seed)

    def _remembered(self, stage: Stage) -> nn.Module | None:
        """The base's second net, if it knows every structure that is learnt."""
        if stage.name != "segment" or self._base is None or not set(self._structures) <= set(self._base.structures):
            return None
        return adopt(self._base, self._config["network_def"], self._structures, self._recipe.seed)

    def _epochs_before(self, stage: Stage) -> int:
        return self._recipe.locate_epochs if stage.name == "segment" and "locate" in self._recipe.stages else 0

    def _all_epochs(self) -> int:
        return sum(self._recipe.epochs_of(name) for name in self._recipe.stages)

    def _tell(self, step: str, fraction: float) -> None:
        self._say(Said(progress=Progress(fraction=fraction, step=step)))

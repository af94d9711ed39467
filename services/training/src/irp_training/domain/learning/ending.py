"""When a stage ends: all passes made, no better for a while, or a limit of time or money reached."""

from __future__ import annotations

from dataclasses import dataclass, field

from irp_training.domain.feeding.ranks import Ranks, any_rank
from irp_training.domain.learning.limits import LOCATE_SHARE, Meter
from irp_training.domain.learning.trainer import Trainer
from irp_training.domain.recipes.recipe import STAGES, Recipe
from irp_training.domain.samples.stages import Stage


@dataclass(frozen=True, slots=True)
class End:
    """A stage is over; what is to be told of it, in sentences."""

    remarks: list[str] = field(default_factory=list)


class Ending:
    """Decides from what a checkpoint holds, so that a run that was killed ends where it would have ended.

    Args:
        recipe: with patience and limits.
        meter: of time and money.
        ranks: rank 0's clock counts.
    """

    def __init__(self, recipe: Recipe, meter: Meter, ranks: Ranks) -> None:
        self._recipe, self._meter, self._ranks = recipe, meter, ranks

    def __call__(self, trainer: Trainer, stage: Stage) -> End | None:
        """None while the stage goes on; every stage makes one pass at least."""
        if trainer.epochs_done == 0:
            return None
        why = self._why(trainer, stage)
        if not why and trainer.epochs_done < trainer.epochs:
            return None
        return End([*self._of_end(trainer, stage, why), *self._of_memory(trainer, stage)])

    def limit(self, stage: Stage) -> str:
        """The limit that is reached, in words; empty if none is. All ranks hear the same."""
        if not self._meter.limited:
            return ""
        both = set(self._recipe.stages) == set(STAGES)
        words = self._meter.reached(LOCATE_SHARE if both and stage.name == "locate" else 1.0)
        reached = any_rank(self._ranks, self._ranks.rank == 0 and bool(words))
        return (words or "a limit was reached") if reached else ""

    def _why(self, trainer: Trainer, stage: Stage) -> str:
        if trainer.epochs_done >= trainer.epochs:
            return ""
        patience = self._recipe.patience
        if patience and trainer.best.waited(trainer.epochs_done) >= patience:
            return f"no pass was better for {patience}"
        return self.limit(stage)

    def _of_end(self, trainer: Trainer, stage: Stage, why: str) -> list[str]:
        kept = f"; pass {trainer.best.epoch} is kept" if trainer.best.epoch else ""
        if why:
            return [f"{stage.name} ended after pass {trainer.epochs_done} of {trainer.epochs}: {why}{kept}"]
        return [f"{stage.name} made all passes{kept}"] if self._recipe.patience and kept else []

    def _of_memory(self, trainer: Trainer, stage: Stage) -> list[str]:
        if not trainer.short_of_memory:
            return []
        held = f"{trainer.slices_at_once} {stage.unit}"
        return [f"{stage.name}: memory held {held} at once; the loss is that of whole batches"]

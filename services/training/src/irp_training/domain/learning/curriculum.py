"""What a run teaches: which stages and structures, in which windows, beginning with which nets."""

from __future__ import annotations

from typing import Any

from irp_bundle import Bundle, PipelineSpec, read_spec
from torch import nn

from irp_training.domain.networks.build import adopt, definitions, fresh
from irp_training.domain.recipes.recipe import STAGES, Recipe
from irp_training.domain.samples.stacks import SegmentStack
from irp_training.domain.samples.stages import Locate, Segment, Stage

LEARNT = ("lv_blood_pool", "lv_myocardium", "rv_blood_pool")  # where neither recipe nor base says otherwise


class Curriculum:
    """Follows from recipe and base alone.

    Args:
        recipe: of the run.
        base: where it starts; None = from scratch.

    Attributes:
        structures: canonical names, by channel.
        config: `network_def`, `locate_def` and `irp_pipeline` of the result; empty while the recipe is open.
        stages: that are trained, in order; empty likewise.
    """

    def __init__(self, recipe: Recipe, base: Bundle | None) -> None:
        self._recipe, self._base = recipe, base
        self.structures: tuple[str, ...] = recipe.structures or (base.structures if base else LEARNT)
        self.config: dict[str, Any] = {} if recipe.is_open else definitions(recipe, self.structures, base)
        self.stages = self._stages() if self.config else []

    def net(self, stage: Stage) -> nn.Module:
        """Where a stage starts."""
        seed = self._recipe.seed + STAGES.index(stage.name)
        if stage.name == "locate":
            if self._base is not None and "locate" in self._base.stages and self._recipe.pipeline == "base":
                return self._base.build("locate")
            return fresh(self.config["locate_def"], seed)
        if self._base is not None:
            return adopt(self._base, self.config["network_def"], self.structures, seed)
        return fresh(self.config["network_def"], seed)

    def remembered(self, stage: Stage) -> nn.Module | None:
        """The base's second net, if it knows every structure that is learnt."""
        if stage.name != "segment" or self._base is None or self._recipe.pipeline == "own":
            return None  # what the base says of images in another pipeline's windows is not worth remembering
        if not set(self.structures) <= set(self._base.structures):
            return None
        return adopt(self._base, self.config["network_def"], self.structures, self._recipe.seed)

    def epochs_before(self, stage: Stage) -> int:
        """Of the stages that come first."""
        return self._recipe.locate_epochs if stage.name == "segment" and "locate" in self._recipe.stages else 0

    @property
    def all_epochs(self) -> int:
        """Of all stages."""
        return sum(self._recipe.epochs_of(name) for name in self._recipe.stages)

    def _stages(self) -> list[Stage]:
        spec = read_spec(self.config["irp_pipeline"])
        all_: dict[str, Stage] = {
            "locate": Locate(spec.locate),
            "segment": self._segment(spec),
        }
        return [all_[name] for name in STAGES if name in self._recipe.stages]

    def _segment(self, spec: PipelineSpec) -> Stage:
        if spec.segment.dimension == "3d":
            return SegmentStack(self.structures, spec.segment, spec.locate.margin, self._recipe.foreground)
        return Segment(self.structures, spec.segment, spec.locate.margin)

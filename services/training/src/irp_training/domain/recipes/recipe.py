"""How to learn: every number of a run, with a default that is good on two cores. Frozen with the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from irp_training.domain.judging.bounds import Bounds
from irp_training.domain.judging.gate import Way
from irp_training.domain.samples.augment import STRETCH, Augmentation

TEXT_LIMIT = 4000  # characters of a value
RECIPE_LIMIT = 200_000  # characters of a request's JSON: every text at its longest, each character escaped
LEVELS, WIDEST = (2, 8), 2048  # of a net built anew: how many, and channels of each
STAGES = ("locate", "segment")
PIPELINES = ("base", "own")
AMP = ("off", "bf16", "fp16", "auto")
SIZES, SIZE_STEP = (64, 512), 16  # pixels; a net of five levels halves its input four times
CONFIGURING = ("fixed", "fingerprint")
OPEN: Mapping[str, Any] = {  # what the training cases may decide, and how a recipe says that they shall
    "segment_size": 0,
    "segment_depth": 0,
    "segment_spacing": 0.0,
    "slice_spacing": 0.0,
    "segment_channels": (),
    "window": 0.0,
    "clip_percentile": 0.0,
    "batch": 0,
}
OF_STACKS = ("segment_depth", "segment_spacing", "slice_spacing")  # say nothing where slices are seen one by one
NARROWEST = 1.2  # sizes of the left ventricle: below, an imperfect box would cut it off


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides what the weights become, beside the dataset and the base model.

    Attributes:
        seed: of weights, order and augmentation.
        stages: which nets are trained; what is left out is taken from the base.
        structures: canonical names of the output channels, in order; empty = the base's, or those of the data.
        locate_epochs: passes over the training slices in stage 1.
        segment_epochs: passes over the training slices in stage 2.
        batch: slices per step; 0 = as many as the device's memory holds, a power of two, up to 64 (on a CPU: 12).
        min_steps: least steps per epoch: small datasets repeat within an epoch.
        locate_rate: highest learning rate of stage 1 (one cycle).
        segment_rate: highest learning rate of stage 2 (one cycle).
        weight_decay: of AdamW.
        ema: decay of the moving average of the weights, which is what is kept; 0 = none.
        remember: weight of staying with the base on structures that an expert did not judge; 0 = forget freely.
        augment: strength of augmentation, 1 = as designed, 0 = none.
        stretch: natural logarithm by which one direction of an example grows while the other shrinks, at most; large
            where pixels are not square and nobody knows by how much.
        upright: share of examples that are neither mirrored nor turned by quarters: 0 makes the nets indifferent to how
            a site stores rows, 1 lets them believe that all sites do as those of the data.
        checkpoint_epochs: passes between two checkpoints, or more where passes are short: see `overhead`.
        overhead: share of a run's time that checkpoints may take, and again pictures with distances of borders: what
            is not paid for yet is left out after a pass, but never after the last of a stage. 1 = whenever due.
        threads: CPU threads of the worker; part of the recipe, for sums depend on it. 0 = the room's setting.
        margin: Dice that a structure may lose on average before the gate refuses. Of this key and the next four the
            installation has bounds of its own, which are the defaults: a recipe may tighten them, and never loosen.
        gate: how that is shown: "mean", "bootstrap" (interval over patients), or "auto": where patients suffice.
        subgroup_margin: Dice that a structure may lose on a subgroup of at least five patients; 0 = no bound.
        calibration_margin: by how much the expected calibration error may rise; 0 = no bound.
        latency_ratio: how many times the champion's seconds per slice it may take; 0 = no bound.
        locate_channels: widths of net 1 when it is built anew.
        segment_channels: widths of net 2 when it is built anew.
        segment_size: pixels along each side of the window that net 2 sees; 0 = the base's, or as designed.
        window: side of that window in sizes of the left ventricle; 0 = the base's, or as designed.
        patience: passes without a higher mean validation Dice after which a stage ends; its best pass is kept. 0 = all
            passes are made, and the last is kept.
        max_minutes: of learning, over all attempts; then the run ends with its best pass so far. 0 = no limit.
        max_cost: as `max_minutes`, in the currency of the room's price of an hour. 0 = no limit.
        amp: mixed precision: "off", "bf16", "fp16", or "auto": what a GPU has, and off on a CPU.
        frozen: layers of net 2 that do not learn: names of its modules, or "encoder": all down to its coarsest grid.
        layer_decay: factor of the learning rate of net 2 from one convolution to the one before it; 1 = all alike.
        replay: share of each batch that is drawn from what the base, and its bases, learnt from, so that it does not
            get worse on it.
        pipeline: "base": go on in the base's own pipeline; "own": take its weights of net 2 into this platform's, with
            a net 1 built anew: for bases from elsewhere.
        dimensions: 2: slices one by one; 3: stacks of slices; 0 = the base's, and 2 from scratch.
        configure: "fixed": what is left out takes the values here; "fingerprint": the training cases decide it, by the
            rules of `configuring.py`. From scratch only; three dimensions are always configured so.
        segment_depth: slices along the third axis of what net 2 sees at once; 0 = the base's, or by the rules.
        segment_spacing: mm per pixel at which stacks of slices are seen; 0 = the base's, or by the rules.
        slice_spacing: mm between the slices of such a stack; 0 = the base's, or by the rules.
        clip_percentile: of a window's intensities: what is brighter is cut; 0 = the base's, or as designed.
        foreground: share of the patches of a stack that are laid about something that was drawn.
        memory_gib: that a step may take, for the rules: nets and patches are made to fit. An estimate.
        precisions: "int8", "bfloat16", or both: tried on the frozen validation set when the run has ended.
        licence: of the weights; empty = the base's.
        description: of the data, for the model card; no patient data.
        notes: how this recipe was found, for the model card; no patient data.
    """

    seed: int = 20210301
    stages: tuple[str, ...] = STAGES
    structures: tuple[str, ...] = ()
    locate_epochs: int = 12
    segment_epochs: int = 48
    batch: int = 12
    min_steps: int = 8
    locate_rate: float = 2e-3
    segment_rate: float = 2.5e-3
    weight_decay: float = 1e-2
    ema: float = 0.995
    remember: float = 1.0
    augment: float = 1.0
    stretch: float = STRETCH
    upright: float = 0.0
    checkpoint_epochs: int = 2
    overhead: float = 0.01
    threads: int = 0
    margin: float = 0.01
    gate: Way = "auto"
    subgroup_margin: float = 0.03
    calibration_margin: float = 0.02
    latency_ratio: float = 2.0
    locate_channels: tuple[int, ...] = (8, 16, 32, 64)
    segment_channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    segment_size: int = 160
    window: float = 0.0
    patience: int = 0
    max_minutes: float = 0.0
    max_cost: float = 0.0
    amp: str = "off"
    frozen: tuple[str, ...] = ()
    layer_decay: float = 1.0
    replay: float = 0.0
    pipeline: str = "base"
    dimensions: int = 0
    configure: str = "fixed"
    segment_depth: int = 0
    segment_spacing: float = 0.0
    slice_spacing: float = 0.0
    clip_percentile: float = 0.0
    foreground: float = 1 / 3
    memory_gib: float = 8.0
    precisions: tuple[str, ...] = ()
    licence: str = ""
    description: str = ""
    notes: str = ""

    def to_json(self) -> str:
        """Canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    def epochs_of(self, stage: str) -> int:
        """Passes of a stage."""
        return self.locate_epochs if stage == "locate" else self.segment_epochs

    def rate_of(self, stage: str) -> float:
        """Highest learning rate of a stage."""
        return self.locate_rate if stage == "locate" else self.segment_rate

    @property
    def bounds(self) -> Bounds:
        """What the result must keep to before the gate."""
        return Bounds(
            margin=self.margin,
            way=self.gate,
            subgroup_margin=self.subgroup_margin,
            calibration_margin=self.calibration_margin,
            latency_ratio=self.latency_ratio,
        )

    def kept_to(self, bounds: Bounds) -> Recipe:
        """The same recipe with these bounds."""
        return replace(
            self,
            margin=bounds.margin,
            gate=bounds.way,
            subgroup_margin=bounds.subgroup_margin,
            calibration_margin=bounds.calibration_margin,
            latency_ratio=bounds.latency_ratio,
        )

    @property
    def may_end_early(self) -> bool:
        """Something may end it before its last pass: then the best pass is remembered."""
        return self.patience > 0 or self.max_minutes > 0 or self.max_cost > 0

    @property
    def is_open(self) -> bool:
        """The training cases have still to decide something."""
        keys = [key for key in OPEN if self.dimensions == 3 or key not in OF_STACKS]
        return self.configure == "fingerprint" and any(getattr(self, key) == OPEN[key] for key in keys)

    @property
    def augmentation(self) -> Augmentation:
        """How far examples are changed."""
        return Augmentation(strength=self.augment, stretch=self.stretch, upright=self.upright)


FROM_SCRATCH = Recipe()
FINE_TUNING = Recipe(
    stages=("segment",),
    segment_epochs=8,
    segment_rate=1.5e-4,
    ema=0.98,
    remember=3.0,
    augment=0.7,
    segment_size=0,
    min_steps=12,
    checkpoint_epochs=1,
)

LIMITS: dict[str, tuple[float, float]] = {
    "seed": (0, 2**31 - 1),
    "locate_epochs": (1, 10_000),
    "segment_epochs": (1, 10_000),
    "batch": (0, 512),
    "min_steps": (1, 10_000),
    "locate_rate": (1e-8, 1.0),
    "segment_rate": (1e-8, 1.0),
    "weight_decay": (0.0, 1.0),
    "ema": (0.0, 0.99999),
    "remember": (0.0, 100.0),
    "augment": (0.0, 2.0),
    "stretch": (0.0, 0.7),
    "upright": (0.0, 1.0),
    "checkpoint_epochs": (1, 1000),
    "overhead": (0.0, 1.0),
    "threads": (0, 256),
    "segment_size": (0, SIZES[1]),
    "window": (0.0, 5.0),
    "dimensions": (0, 3),
    "segment_depth": (0, 64),
    "segment_spacing": (0.0, 10.0),
    "slice_spacing": (0.0, 50.0),
    "clip_percentile": (0.0, 100.0),
    "foreground": (0.0, 1.0),
    "memory_gib": (0.1, 1000.0),
    "margin": (0.0, 1.0),
    "layer_decay": (0.1, 1.0),
    "replay": (0.0, 0.9),
    "subgroup_margin": (0.0, 1.0),
    "calibration_margin": (0.0, 1.0),
    "latency_ratio": (0.0, 1000.0),
    "patience": (0, 10_000),
    "max_minutes": (0.0, 100_000.0),
    "max_cost": (0.0, 1e9),
}


def read_frozen(text: str) -> Recipe:
    """The recipe that a run was frozen with: `Recipe.to_json` read back."""
    given: dict[str, Any] = json.loads(text)
    read: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return Recipe(**read)

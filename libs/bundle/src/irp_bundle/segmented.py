"""What a pipeline answers, and how it came to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np
from irp_kernel import LabelTable, Mask
from irp_kernel.geometry import Geometry
from irp_kernel.slices import LabelledSlices
from numpy.typing import NDArray

from irp_bundle.boxes import Located
from irp_bundle.estimate import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one answer is made, beyond what the bundle declares.

    Attributes:
        test_time_augmentation: look again under every symmetry that the bundle declares in `augment`.
        uncertainty: answer a map of it, and the estimate.
        estimate: answer what the network expects of its own Dice.
        confidence: answer a map of the strongest channel's probability.
    """

    test_time_augmentation: bool = False
    uncertainty: bool = False
    estimate: bool = False
    confidence: bool = False

    @property
    def key(self) -> str:
        """As text, for whoever remembers answers; empty = nothing beyond."""
        return "+".join(option.name for option in fields(self) if getattr(self, option.name))


PLAIN, NOTHING_KNOWN = Options(), Estimate()


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineReport:
    """What happened on the way.

    Attributes:
        located: windows and outcome per slice.
        slices: those that were segmented.
        frames: those that were segmented.
        timings_ms: per stage: locate, segment, post.
        corrections: in how many slices each rule of post-processing changed something.
        parameters: what stage 2 looked at, and how, as text.
    """

    located: Located
    slices: tuple[int, ...]
    frames: tuple[int, ...]
    timings_ms: dict[str, float] = field(default_factory=dict)
    corrections: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmented:
    """Labels of what was asked for, and of nothing else.

    Attributes:
        labels: uint8 (frame, slice, row, column), canonical values; only the asked frames and slices.
        table: what the values mean.
        report: how they came to be; its `frames` and `slices` number the first two axes.
        uncertainty: uint8 like labels, 0 (certain) to 255 (every structure is as likely), 0 outside the window;
            None = it was not asked for.
        estimate: how far they can be trusted.
        confidence: uint8 like labels, 255 times the probability of the strongest channel, 0 outside the window;
            None = it was not asked for.
        beside: what was found of other slices on the way, by their numbers, where one was asked of a frame that had to
            be looked at as a whole.
    """

    labels: NDArray[np.uint8]
    table: LabelTable
    report: PipelineReport
    uncertainty: NDArray[np.uint8] | None = None
    estimate: Estimate = NOTHING_KNOWN
    confidence: NDArray[np.uint8] | None = None
    beside: Mapping[int, Segmented] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Of its arrays."""
        return sum(each.nbytes for each in (self.labels, self.uncertainty, self.confidence) if each is not None)

    def on(self, geometry: Geometry) -> LabelledSlices:
        """Where they lie on the volume's grid."""
        frames, slices = self.report.frames, self.report.slices
        return LabelledSlices(geometry=geometry, labels=self.labels, frames=frames, slices=slices, table=self.table)

    def mask(self, geometry: Geometry) -> Mask:
        """On the volume's whole grid; what was not asked for is not annotated."""
        return self.on(geometry).mask()

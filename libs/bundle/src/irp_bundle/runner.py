"""A pipeline on one engine, pass after pass: what training, validation and tests use."""

from __future__ import annotations

from collections.abc import Sequence

from irp_kernel import Mask, Volume

from irp_bundle.boxes import Located
from irp_bundle.bundle import Bundle
from irp_bundle.pipeline import PipelineSteps
from irp_bundle.segmented import PLAIN, Options, PipelineReport, Segmented
from irp_bundle.steps import Engine, complete


class Pipeline:
    """A bundle in use. Holds no state between calls."""

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self.bundle, self._engine, self._steps = bundle, engine, PipelineSteps(bundle)

    def run(
        self,
        volume: Volume,
        *,
        frames: Sequence[int] | None = None,
        slices: Sequence[int] | None = None,
        located: Located | None = None,
        options: Options = PLAIN,
    ) -> tuple[Mask, PipelineReport]:
        """Mask on the volume's grid (only what was asked for is annotated), and the report; see PipelineSteps."""
        found = self.segment(volume, frames=frames, slices=slices, located=located, options=options)
        return found.mask(volume.geometry), found.report

    def segment(
        self,
        volume: Volume,
        *,
        frames: Sequence[int] | None = None,
        slices: Sequence[int] | None = None,
        located: Located | None = None,
        options: Options = PLAIN,
    ) -> Segmented:
        """Labels of what was asked for; see PipelineSteps."""
        steps = self._steps.segment(volume, frames=frames, slices=slices, located=located, options=options)
        return complete(steps, self._engine)

    def locate(self, volume: Volume) -> Located:
        """Stage 1 alone; see PipelineSteps.locate."""
        return complete(self._steps.locate(volume), self._engine)

"""A pipeline on one engine, pass after pass: what training, validation and tests use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from irp_kernel import Mask, Volume
from numpy.typing import NDArray

from irp_bundle.boxes import Located
from irp_bundle.bundle import Bundle
from irp_bundle.errors import PromptsNeeded
from irp_bundle.interactive import InteractiveSteps
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

    def run_marked(
        self, volume: Volume, inside: Mapping[tuple[int, int], NDArray[np.bool_]], located: Located | None = None
    ) -> Mask:
        """Mask of what is marked, by (frame, slice) as pixels (row, column) inside; see InteractiveSteps.

        Raises:
            PromptsNeeded: nothing is marked.
            ValueError: the bundle takes no marks.
        """
        prompts = self.bundle.spec.prompts
        if prompts is None:
            raise ValueError("a bundle without `prompts` takes no marks")
        if not inside:
            raise PromptsNeeded
        steps, located = InteractiveSteps(self.bundle, prompts), self.locate(volume) if located is None else located
        nowhere = np.zeros(volume.geometry.shape[1:], np.bool_)
        views = [steps.view(place, marked, nowhere, nowhere, located) for place, marked in inside.items()]
        features = complete(steps.encode(volume, views), self._engine)
        return complete(steps.segment(views, features, located), self._engine).mask(volume.geometry)

    def locate(self, volume: Volume) -> Located:
        """Stage 1 alone; see PipelineSteps.locate."""
        return complete(self._steps.locate(volume), self._engine)

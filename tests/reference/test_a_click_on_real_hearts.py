"""What you learn here: one click on a real heart finds its ventricle, and the next one costs one small pass.

Sunnybrook (CC0) was scanned at another hospital, by another maker, than the images the model learnt from.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from irp_bundle import InteractiveSteps, PipelineSteps, TorchEngine, complete, dice, read_bundle
from irp_kernel import Mask, Volume
from irp_training.domain.judging.clicked import click_in
from numpy.typing import NDArray

POOL = 1


class Counting:
    """The plain engine, and its passes."""

    def __init__(self, engine: TorchEngine) -> None:
        self._engine = engine
        self.stages: list[str] = []

    def __call__(self, stage: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.stages.append(stage)
        return self._engine(stage, batch)  # type: ignore[arg-type]


def test_one_click_finds_a_heart_and_the_next_one_needs_no_encoder(
    real_heart: Callable[[str], tuple[Volume, Mask]],
) -> None:
    bundle = read_bundle((Path(__file__).parents[2] / "models" / "click.zip").read_bytes())
    assert bundle.spec.prompts
    steps, engine = InteractiveSteps(bundle, bundle.spec.prompts), Counting(TorchEngine(bundle))
    volume, truth = real_heart("SCD0000101")
    area = (truth.labels == POOL).sum(axis=(2, 3))
    frame, place = (int(x) for x in np.unravel_index(area.argmax(), area.shape))
    pool = truth.labels[frame, place] == POOL
    located = complete(PipelineSteps(bundle).locate(volume), engine)
    engine.stages.clear()
    inside, nowhere = click_in(pool), np.zeros(pool.shape, np.bool_)
    view = steps.view((frame, place), inside, nowhere, nowhere, located)
    features = complete(steps.encode(volume, [view]), engine)
    found = complete(steps.segment([view], features, located), engine).labels[0, 0] == POOL
    assert dice(found, pool) >= 0.9
    missed = click_in(pool & ~found)
    view = steps.view((frame, place), inside | missed, nowhere, nowhere, located)
    again = complete(steps.segment([view], features, located), engine).labels[0, 0]
    assert again[missed].all()
    assert dice(again == POOL, pool) >= 0.9
    assert engine.stages == ["encode", "segment", "segment"]

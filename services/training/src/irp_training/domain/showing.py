"""A few validation slices at a checkpoint as the network sees them: the best, the middle and the worst one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from irp_bundle import dice

from irp_training.domain.augment import NONE
from irp_training.domain.examples import Example
from irp_training.domain.overlay import Overlay, chosen, draw_overlay
from irp_training.domain.stages import Sample
from irp_training.domain.trainer import Trainer

LOOKED_AT = 48  # slices at most, spread evenly over the validation set: a look costs one pass over them


def show(trainer: Trainer, examples: Sequence[Example], epoch: int) -> tuple[Overlay, ...]:
    """Overlays of a stage at an epoch; none where nothing was judged that can be shown."""
    usable = trainer.stage.usable(examples)
    step = max(1, -(-len(usable) // LOOKED_AT))
    samples = [trainer.stage.sample(example, None, NONE) for example in usable[::step]]
    if not samples:
        return ()
    found = trainer.answer(samples)
    pairs = [pair for sample, labels in zip(samples, found, strict=True) for pair in _slices(sample, labels)]
    values = [_dice(sample, labels) for sample, labels in pairs]
    known = [place for place, value in enumerate(values) if not np.isnan(value)]
    places = chosen([values[place] for place in known])
    return tuple(
        Overlay(epoch=epoch, which=which, dice=values[known[at]], picture=_picture(*pairs[known[at]]))
        for which, at in places.items()
    )


def _slices(sample: Sample, found: np.ndarray) -> list[tuple[Sample, np.ndarray]]:
    """A patch as its planes; a slice as it is."""
    image, labels, judged = sample
    if labels.ndim == 2:
        return [(sample, found)]
    return [((image[:, plane], labels[plane], judged[plane]), found[plane]) for plane in range(len(labels))]


def _dice(sample: Sample, found: np.ndarray) -> float:
    _, labels, judged = sample
    seen = [place + 1 for place in np.flatnonzero(judged.numpy())]
    values = [dice(found == value, labels.numpy() == value) for value in seen]
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _picture(sample: Sample, found: np.ndarray) -> bytes:
    image, labels, judged = sample
    seen = np.concatenate([[False], judged.numpy()])
    expert = labels.numpy().astype(np.uint8)
    return draw_overlay(image[0].numpy(), expert * seen[expert], (found * seen[found]).astype(np.uint8))

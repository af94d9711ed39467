"""A few validation slices as the network sees them: the best, the middle and the worst one of those looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from irp_bundle import dice

from irp_training.domain.samples.augment import NONE
from irp_training.domain.samples.stages import Stage
from irp_training.domain.watching.looks import Look
from irp_training.domain.watching.overlay import Overlay, chosen, draw_overlay


def show(stage: Stage, looks: Sequence[Look], epoch: int) -> tuple[Overlay, ...]:
    """Overlays of a stage at an epoch; none where nothing was judged that can be shown."""
    values = [_dice(look) for look in looks]
    known = [place for place, value in enumerate(values) if not np.isnan(value)]
    places = chosen([values[place] for place in known])
    return tuple(
        Overlay(epoch=epoch, which=which, dice=values[known[at]], picture=_picture(stage, looks[known[at]]))
        for which, at in places.items()
    )


def _dice(look: Look) -> float:
    seen = [place + 1 for place in np.flatnonzero(look.judged)]
    values = [dice(look.found == value, look.truth == value) for value in seen]
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _picture(stage: Stage, look: Look) -> bytes:
    image, _, _ = stage.sample(look.example, None, NONE)
    seen = np.concatenate([[False], look.judged])
    expert, found = ((labels * seen[labels]).astype(np.uint8) for labels in (look.truth, look.found))
    return draw_overlay(image.reshape(-1, *expert.shape)[look.plane].numpy(), expert, found)

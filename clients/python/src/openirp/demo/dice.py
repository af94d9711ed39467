"""Dice of a model against the expert's masks, counted only where the expert looked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from irp_kernel import Mask, decode_mask

from openirp.demo.plan import Case
from openirp.demo.truth import CAVITY, MYOCARDIUM
from openirp.project import NRRD, Project

STRUCTURES = (CAVITY, MYOCARDIUM)


@dataclass(frozen=True, slots=True)
class Score:
    """One structure of one patient.

    Attributes:
        structure: canonical name.
        images: (frame, slice) pairs that the expert judged.
        dice: over all of these images together (3D), 0 to 1.
    """

    structure: str
    images: int
    dice: float


def truth_of(project: Project, case: Case) -> Mask:
    """The accepted mask as the platform keeps it: the server's own drawing of the contours."""
    return decode_mask(project.export(str(case.segmentation["id"]), NRRD))


def segment_judged(project: Project, case: Case, model: str) -> Mask:
    """The model's answer for every slice that the expert judged."""
    frames = sorted({frame for frame, _ in case.judged})
    slices = sorted({slice_ for _, slice_ in case.judged})
    found = project.segment(case.series_uid, model, frames=frames, slices=slices, media_type=NRRD)
    return decode_mask(found.content)


def scores(truth: Mask, answer: Mask) -> list[Score]:
    """Dice per structure that the expert judged."""
    found = []
    for name in STRUCTURES:
        judged = truth.judged(name)
        if judged.any():
            expert, model = truth.of(name)[judged], _region(answer, name)[judged]
            together = int(expert.sum() + model.sum())
            found.append(
                Score(name, int(judged.sum()), 2 * int((expert & model).sum()) / together if together else 1.0)
            )
    return found


def _region(mask: Mask, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return mask.of(name) if name in mask.table.names else np.zeros(mask.labels.shape, dtype=np.bool_)

"""A validation as a computation: bundle and case files in, the report's files out. No I/O; cases come one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from irp_bundle import Pipeline, dice_per_structure
from irp_kernel import Mask, Volume, decode_mask, decode_volume

from irp_training.domain.datasets.dataset import Case
from irp_training.domain.judging.scores import Measures, answer_case, compare_masks
from irp_training.domain.learning.plan import CaseFile, Said
from irp_training.domain.run import Progress
from irp_training.domain.validations.disturb import KINDS, STRENGTHS, disturb, shifted, shifted_back
from irp_training.domain.validations.document import Finding, document, in_short
from irp_training.domain.validations.page import as_html, as_pdf
from irp_training.domain.validations.plan import ValidationOutcome, ValidationPlan
from irp_training.domain.watching.overlay import draw_overlay

DISTURBED = 12  # cases at most: each is answered ten times more
GALLERY = 6  # worst cases shown
MARGIN = 16  # pixels around what is outlined
SEED = 20210301


@dataclass(slots=True)
class _Gallery:
    """Pictures of the worst cases so far."""

    kept: list[tuple[float, str, bytes]] = field(default_factory=list)

    def offer(self, dice: float, series: str, draw: Callable[[], bytes]) -> None:
        if len(self.kept) < GALLERY or dice < self.kept[-1][0]:
            self.kept = sorted([*self.kept, (dice, series, draw())], key=lambda one: one[:2])[:GALLERY]


class ValidationWork:
    """Runs a plan with the model's pipeline; one instance per validation."""

    def __init__(self, plan: ValidationPlan, pipeline: Pipeline, say: Callable[[Said], None]) -> None:
        self._plan, self._pipeline, self._say = plan, pipeline, say

    def __call__(self, files: Iterable[CaseFile]) -> ValidationOutcome:
        """Answer every case, some of them on worse images, too, and write down what came out."""
        gallery, findings = _Gallery(), list[Finding]()
        for number, (case, _, volume_file, mask_file) in enumerate(files):
            self._tell(f"case {number + 1} of {self._plan.cases}", 0.95 * number / max(1, self._plan.cases))
            worse = len([one for one in findings if one.robustness]) < DISTURBED
            findings += self._inspect(case, decode_volume(volume_file), decode_mask(mask_file), gallery, worse=worse)
        self._tell("writing the report", 0.96)
        plan, structures = self._plan, self._pipeline.bundle.structures
        said = document(plan, structures, findings, [(dice, series) for dice, series, _ in gallery.kept])
        pictures = [picture for _, _, picture in gallery.kept]
        files_ = {
            "report.json": said.to_bytes(),
            "report.html": as_html(said, pictures),
            "report.pdf": as_pdf(said, pictures),
        }
        return ValidationOutcome(files=files_, summary=in_short(said))

    def _inspect(self, case: Case, volume: Volume, truth: Mask, gallery: _Gallery, *, worse: bool) -> Iterator[Finding]:
        answer = answer_case(self._pipeline, volume, truth)
        if answer is None:
            return
        found, known = answer
        measures = compare_masks(found, known)
        mean = _mean_dice(measures)
        if np.isfinite(mean):
            gallery.offer(mean, case.series, lambda: _picture(volume, found, known))
        yield Finding.of(
            case,
            measures,
            found,
            known,
            robustness=dict(self._robustness(volume, truth)) if worse else {},
            repeat=self._repeated(volume, truth, found) if worse else {},
        )

    def _robustness(self, volume: Volume, truth: Mask) -> Iterator[tuple[str, dict[str, float]]]:
        for kind, strength in product(KINDS, STRENGTHS):
            answer = answer_case(self._pipeline, disturb(volume, kind, strength, SEED), truth)
            if answer is not None:
                yield f"{kind}, {strength}", dice_per_structure(*answer)

    def _repeated(self, volume: Volume, truth: Mask, found: Mask) -> dict[str, float]:
        """Voxels that differ when the same image comes again; Dice with the answer to an image moved by a pixel."""
        again = answer_case(self._pipeline, volume, truth)
        moved = answer_case(self._pipeline, shifted(volume), _moved(truth))
        if again is None or moved is None:
            return {}
        back = Mask(
            geometry=found.geometry,
            labels=shifted_back(moved[0].labels),
            table=moved[0].table,
            annotated=moved[0].annotated,
        )
        dice = list(dice_per_structure(back, found).values())
        differing = float((again[0].labels != found.labels).sum())
        return {"voxels_differing": differing} | ({"dice_when_moved": float(np.mean(dice))} if dice else {})

    def _tell(self, step: str, fraction: float) -> None:
        self._say(Said(progress=Progress(fraction=fraction, step=step)))


def _moved(truth: Mask) -> Mask:
    labels = np.roll(truth.labels, (1, 1), axis=(2, 3))
    return Mask(geometry=truth.geometry, labels=labels, table=truth.table, annotated=truth.annotated)


def _mean_dice(measures: Measures) -> float:
    values = [found["dice"] for found in measures.values() if "dice" in found]
    return float(np.mean(values)) if values else float("nan")


def _picture(volume: Volume, found: Mask, known: Mask) -> bytes:
    """The judged slice with most voxels in dispute, cut close around what is outlined."""
    judged = known.annotated.any(axis=2)
    dispute = (found.labels != known.labels).sum(axis=(2, 3)) * judged
    frame, place = np.unravel_index(int(dispute.argmax()), dispute.shape)
    expert, mine = known.labels[frame, place], found.labels[frame, place]
    rows, columns = _window((expert > 0) | (mine > 0))
    return draw_overlay(volume.array[frame, place][rows, columns], expert[rows, columns], mine[rows, columns])


def _window(region: np.ndarray) -> tuple[slice, slice]:
    if not region.any():
        return slice(None), slice(None)
    where = np.argwhere(region)
    low, high = np.maximum(where.min(axis=0) - MARGIN, 0), where.max(axis=0) + MARGIN + 1
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))

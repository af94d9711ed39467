"""The case files of a run, decoded once: slices to learn from, slices to look at after each pass, patients kept out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from irp_kernel import Mask, Volume, decode_mask, decode_volume

from irp_training.domain.datasets.dataset import Case
from irp_training.domain.errors import NothingJudged
from irp_training.domain.learning.plan import CaseFile
from irp_training.domain.recipes.fingerprint import Traits, traits_of
from irp_training.domain.samples.examples import Example, examples_of, stacked_examples_of

REPLAYED = "replay"  # beside the splits: cases of what the base learnt from
HELD_OUT = ("validation", "test")


@dataclass(slots=True)
class Pupils:
    """What a run sees.

    Attributes:
        training: slices that are learnt from.
        replay: slices that the base learnt from, and that are shown again.
        validation: slices that are looked at after each pass.
        held_out: series of the splits that nothing is learnt from: case, split, image, mask.
        counts: patients, series and judged slices per split.
    """

    training: list[Example] = field(default_factory=list)
    replay: list[Example] = field(default_factory=list)
    validation: list[Example] = field(default_factory=list)
    held_out: list[tuple[Case, str, Volume, Mask]] = field(default_factory=list)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)


def read_pupils(
    files: Iterable[CaseFile], structures: Sequence[str], *, stacked: bool = False, survey: list[Traits] | None = None
) -> Pupils:
    """Decode the case files one by one.

    Args:
        files: of the run.
        structures: canonical names, by channel.
        stacked: a net sees more than single slices.
        survey: takes what the training cases are like; None = nobody wants to know.

    Raises:
        NothingJudged: the training split judges none of the structures.
    """
    pupils = Pupils()
    patients: dict[str, set[str]] = {}
    for case, part, volume_file, mask_file in files:
        volume, mask = decode_volume(volume_file), decode_mask(mask_file)
        found = (stacked_examples_of if stacked else examples_of)(volume, mask, structures)
        if part == "training":
            pupils.training += found
            if survey is not None and (traits := traits_of(volume, mask, structures)):
                survey.append(traits)
        elif part == REPLAYED:
            pupils.replay += found
        elif part == "validation":
            pupils.validation += [replace(example, patient=case.patient) for example in found]
        if part in HELD_OUT:
            pupils.held_out.append((case, part, volume, mask))
        patients.setdefault(part, set()).add(case.patient)
        count = pupils.counts.setdefault(part, {"patients": 0, "series": 0, "slices": 0})
        count["series"], count["slices"] = count["series"] + 1, count["slices"] + len(found)
        count["patients"] = len(patients[part])
    if not pupils.training:
        raise NothingJudged
    return pupils

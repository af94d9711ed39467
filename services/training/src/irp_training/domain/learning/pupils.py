"""The case files of a run, decoded one by one: slices to learn from, and slices to look at after each pass.

Of whom nothing is learnt from no image is kept: they are read again when they are judged, see `held_out`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from irp_kernel import decode_mask, decode_volume

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
        counts: patients, series and judged slices per split.
    """

    training: list[Example] = field(default_factory=list)
    replay: list[Example] = field(default_factory=list)
    validation: list[Example] = field(default_factory=list)
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
    for file in files:
        case, part, *_ = file
        found = _examples(file, structures, stacked, survey)
        if part == "training":
            pupils.training += found
        elif part == REPLAYED:
            pupils.replay += found
        elif part == "validation":
            pupils.validation += [replace(example, patient=case.patient) for example in found]
        patients.setdefault(part, set()).add(case.patient)
        count = pupils.counts.setdefault(part, {"patients": 0, "series": 0, "slices": 0})
        count["series"], count["slices"] = count["series"] + 1, count["slices"] + len(found)
        count["patients"] = len(patients[part])
    if not pupils.training:
        raise NothingJudged
    return pupils


def held_out(files: Iterable[CaseFile]) -> Iterator[CaseFile]:
    """The series of the splits that nothing is learnt from, as they are read."""
    return (file for file in files if file[1] in HELD_OUT)


def _examples(file: CaseFile, structures: Sequence[str], stacked: bool, survey: list[Traits] | None) -> list[Example]:
    """Of one series, whose other frames and slices are forgotten at the end."""
    _, part, volume_file, mask_file = file
    volume, mask = decode_volume(volume_file), decode_mask(mask_file)
    if part == "training" and survey is not None and (traits := traits_of(volume, mask, structures)):
        survey.append(traits)
    return (stacked_examples_of if stacked else examples_of)(volume, mask, structures)

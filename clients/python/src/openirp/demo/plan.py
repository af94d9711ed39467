"""Who is in the demo, and who may be learnt from. The split is fixed beforehand and written into the configuration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from openirp.demo.hearts import DICOM_PATIENTS, PNG_PATIENTS, Heart, dicom_heart, references
from openirp.demo.pictures_as_dicom import picture_heart
from openirp.demo.placing import Place, places
from openirp.demo.planting import Planted, everywhere, identity, plant

# Training, gate and final comparison each see one patient with a drawn wall, and pictures of both kinds of disease.
# SCD0000201 is the one patient whose cavity was drawn smaller than the shipped model sees it, and the others larger:
# whoever is judged by it alone finds that a model that learnt from the others has become worse.
SPLIT = {
    "SCD0000101": "validation",
    "SCD0000201": "training",
    "SCD0000301": "test",
    "SC-HF-NI-03": "training",
    "SC-HYP-01": "training",
    "SC-N-02": "training",
    "SC-HYP-03": "validation",
    "SC-HF-NI-04": "test",
    "SC-N-03": "test",
}
SHORT = ("SCD0000201", "SCD0000301", "SC-HF-NI-03", "SC-HYP-03", "SC-N-03")  # without the long cine study


@dataclass(slots=True)
class Case:
    """One patient on the way through the story.

    Attributes:
        heart: images and the expert's truth.
        planted: the invented identity in the headers.
        split: "training", "validation" or "test".
        places: InstanceNumber -> (frame, slice) of the assembled series.
        series_uid: the de-identified series, once stored.
        patient: the pseudonym, once known.
        shape: (time, slice, row, column), once assembled.
        segmentation: the accepted version, once sent.
    """

    heart: Heart
    planted: Planted
    split: str
    places: dict[int, Place]
    series_uid: str = ""
    patient: str = ""
    shape: tuple[int, ...] = ()
    sequence_class: str = ""
    segmentation: dict[str, object] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The public name of the data set: what people see on the page."""
        return self.heart.name

    @property
    def judged(self) -> list[Place]:
        """(frame, slice) pairs with an expert's cavity."""
        return sorted(self.places[number] for number in (self.heart.cavity or self.heart.cavity_masks))


def cast(folder: Path, *, short: bool) -> Iterable[Case]:
    """The demo's patients, one after the other, with their identities planted (in memory)."""
    everyone = (*DICOM_PATIENTS, *PNG_PATIENTS)
    for index, name in enumerate(everyone):
        if short and name not in SHORT:
            continue
        heart = dicom_heart(folder, name) if name in DICOM_PATIENTS else picture_heart(folder, name)
        planted = identity(index)
        heart.files = [plant(file, planted) for file in heart.files]
        yield Case(heart, planted, SPLIT[name], places(heart.files))


def all_secrets(cases: Iterable[Case]) -> list[str]:
    """Everything that was planted."""
    return [*everywhere(), *(secret for case in cases for secret in case.planted.secrets)]


__all__ = ["Case", "all_secrets", "cast", "references"]

"""One series with its accepted mask: what a dataset is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from irp_kernel import ObjectRef

NOT_SAID = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One series with its accepted mask.

    Attributes:
        series: de-identified SeriesInstanceUID.
        patient: pseudonym.
        site: pseudonymous.
        sequence_class: e.g. "cine-sax".
        volume: NRRD (time, slice, row, column).
        mask: NRRD with label table and annotated[time, slice, structure].
        version: number of accepted versions so far.
        verdict: quality's, or empty while unknown.
        certainty: of the mask's author, 1 to 3; 0 = not said.
        judged: canonical name -> (time, slice) pairs on which it was judged; None = not known yet.
        manufacturer: of the scanner, as its header says; empty = unknown.
        manufacturer_model: likewise.
        field_strength_t: tesla; 0 = unknown.
        sex: "M", "F", "O", or empty where unknown or not kept.
        age_years: negative where unknown or not kept.
        clinical: SHA-256 of the patient's clinical values; empty = there are none.
    """

    series: str
    patient: str
    site: str
    sequence_class: str
    volume: ObjectRef
    mask: ObjectRef
    version: int
    verdict: str = ""
    certainty: int = 0
    judged: Mapping[str, int] | None = field(default=None, hash=False)
    manufacturer: str = ""
    manufacturer_model: str = ""
    field_strength_t: float = 0.0
    sex: str = ""
    age_years: float = -1.0
    clinical: str = ""

    @property
    def scanner(self) -> str:
        """Manufacturer, model and field strength in one line, as far as they are known.

        Field strength to the nearest half tesla, for headers say 1.494 and 2.8936 where people say 1.5 and 3.
        """
        strength = f"{round(self.field_strength_t * 2) / 2:g} T" if self.field_strength_t > 0 else ""
        words = " ".join((self.manufacturer, self.manufacturer_model, strength)).split()
        return " ".join(words) or NOT_SAID

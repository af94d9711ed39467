"""What became of the files of an upload, by series: identifiers after de-identification, numbers, and reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from openirp.stow import QUARANTINED


@dataclass(slots=True)
class SeriesTally:
    """One series, by its new UID.

    Attributes:
        modality: e.g. "MR"; empty if it is not known.
        stored: files that are new.
        already: files that had been stored before.
    """

    modality: str = ""
    stored: int = 0
    already: int = 0


@dataclass(slots=True)
class Tally:
    """Of a batch, or of a whole upload.

    Attributes:
        series: by the new SeriesInstanceUID.
        refused: files by reason.
        sent_bytes: of the files as they lay at the source.
    """

    series: dict[str, SeriesTally] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    sent_bytes: int = 0

    @property
    def stored(self) -> int:
        """Files that the project holds now."""
        return sum(one.stored + one.already for one in self.series.values())

    @property
    def waiting(self) -> int:
        """Files that wait in quarantine; they are among the refused."""
        return self.refused[QUARANTINED]

    @property
    def files(self) -> int:
        """Files that were answered."""
        return self.stored + self.refused.total()

    def note(self, series_uid: str, modality: str, *, already: bool) -> None:
        """A file was stored."""
        one = self.series.setdefault(series_uid, SeriesTally(modality))
        one.already += already
        one.stored += not already

    def add(self, other: Tally) -> None:
        """Take in what another tally says."""
        for uid, theirs in other.series.items():
            one = self.series.setdefault(uid, SeriesTally(theirs.modality))
            one.stored += theirs.stored
            one.already += theirs.already
        self.refused.update(other.refused)
        self.sent_bytes += other.sent_bytes

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        series = {uid: [one.modality, one.stored, one.already] for uid, one in self.series.items()}
        return {"series": series, "refused": dict(self.refused), "sent_bytes": self.sent_bytes}

    @classmethod
    def from_dict(cls, said: dict[str, Any]) -> Tally:
        """Read what `to_dict` gave."""
        series = {uid: SeriesTally(str(one[0]), int(one[1]), int(one[2])) for uid, one in said["series"].items()}
        return cls(series, Counter(said["refused"]), int(said["sent_bytes"]))

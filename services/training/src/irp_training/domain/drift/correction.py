"""How far an expert moved a model's proposal: what an accepted mask says about the version that proposed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from irp_bundle import dice
from irp_kernel import ObjectRef, decode_mask

from irp_training.domain.judging.scores import as_far_as_judged
from irp_training.domain.run import ModelRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The newest mask that a model proposed for a series.

    Attributes:
        version: of the volume.
        volume_sha256: of the volume that was segmented.
    """

    project: str
    series: str
    version: int
    model: ModelRef
    mask: ObjectRef
    volume_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """An accepted mask beside the proposal for the same volume.

    Attributes:
        scanner: manufacturer and field strength, as far as they are known.
        at: when it was first accepted, RFC 3339 UTC: the order of cases.
        accepted: the expert's mask.
        proposed: the model's.
        dice: per structure; empty while it is not computed.
        changed_voxels: per structure, in one mask only.
        seen: the model learnt from this patient: it does not count.
    """

    project: str
    series: str
    patient: str
    site: str
    scanner: str
    model: ModelRef
    accepted: ObjectRef
    proposed: ObjectRef
    at: str
    dice: Mapping[str, float] | None = None
    changed_voxels: Mapping[str, int] | None = None
    seen: bool = False

    @property
    def agreement(self) -> float | None:
        """Mean Dice over structures; None while it is unknown, and where it does not count."""
        return None if self.seen or not self.dice else fmean(self.dice.values())


def compare(proposed: bytes, accepted: bytes) -> tuple[dict[str, float], dict[str, int]]:
    """Dice and changed voxels per structure, on (frame, slice) that both judged.

    Args:
        proposed: NRRD of the model's mask.
        accepted: NRRD of the expert's mask on the same grid.
    """
    mine, theirs = decode_mask(proposed), decode_mask(accepted)
    mine.geometry.require_same_grid(theirs.geometry)
    mine = as_far_as_judged(mine, theirs)
    found: dict[str, float] = {}
    changed: dict[str, int] = {}
    for name in (one for one in theirs.table.names if one in mine.table.names):
        both = mine.judged(name) & theirs.judged(name)
        a, b = mine.of(name)[both], theirs.of(name)[both]
        if a.any() or b.any():
            found[name], changed[name] = dice(a, b), int((a ^ b).sum())
    return found, changed

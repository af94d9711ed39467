"""Old cases beside new ones: what a base learnt from is shown again, so that it does not get worse on it.

Source: experience replay, Rolnick et al., NeurIPS 2019.
"""

from __future__ import annotations

from collections.abc import Iterable

from irp_training.domain.datasets.dataset import Case, Snapshot
from irp_training.domain.datasets.split import require_disjoint


def to_replay(new: Snapshot, old: Iterable[Snapshot]) -> tuple[Case, ...]:
    """Training cases of earlier datasets that the new one does not hold itself, each once.

    Raises:
        PatientLeak: one is of a patient whom the new dataset keeps out.
    """
    found: dict[str, Case] = {}
    held = {entry.case.series for entry in new.entries}
    for snapshot in old:
        for case in snapshot.of("training"):
            if case.series not in held:
                found.setdefault(case.series, case)
    kept = [(entry.case.patient, entry.part) for entry in new.entries]
    require_disjoint([*kept, *((case.patient, "training") for case in found.values())])
    return tuple(found.values())


def replayed(batch: int, share: float) -> int:
    """Slices of a batch that are old ones: at least one, and at least one is new."""
    return min(batch - 1, max(1, round(batch * share))) if batch > 1 and share > 0 else 0

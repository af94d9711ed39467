"""The myocardium that a model sees, for methods that look nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from irp_kernel.mask import LV_MYOCARDIUM, NO_REFLOW, SCAR

from irp_inference.app.ports import Ticket
from irp_inference.app.segment_series import Segments, Wish
from irp_inference.domain.algorithms.marks import Region

MYOCARDIUM = (LV_MYOCARDIUM, SCAR, NO_REFLOW)


class WallWithin:
    """One version sees it in all slices of an answer, whoever becomes champion meanwhile.

    Attributes:
        model: as it was said; once it has answered, `name@number`. Empty = none.
    """

    def __init__(self, segment: Segments, wish: Wish, model: str) -> None:
        self._segment, self._wish, self.model = segment, wish, model

    async def __call__(self, frame: int, slices: Sequence[int], ticket: Ticket) -> Region | None:
        """The wall with what lies in it (scar, no-reflow): bool (slice, row, column); None without a model."""
        if not self.model:
            return None
        project, uid = self._wish.project, self._wish.series_uid
        asked = Wish(project=project, series_uid=uid, model=self.model, frames=[frame], slices=list(slices))
        answer = await self._segment(asked, ticket)
        self.model = f"{answer.model.name}@{answer.model.version}"
        return np.asarray(np.isin(answer.segmented.labels[0], MYOCARDIUM), np.bool_)

"""Every accepted mask that was not extracted yet becomes rows of the tidy table."""

from __future__ import annotations

import time
from typing import Any

from irp_kernel.errors import Code, IrpError

from irp_radiomics.app.ports import Case, Cases, Extractor, Objects
from irp_radiomics.domain.features import Extracted

PASSING = {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.ABORTED, Code.INTERNAL}  # the job is run again


class ExtractFeatures:
    """Work through a project; may run twice."""

    def __init__(self, cases: Cases, objects: Objects, extractor: Extractor) -> None:
        self._cases, self._objects, self._extractor = cases, objects, extractor

    async def __call__(self, project: dict[str, Any], extraction: str) -> None:
        """Extract, with progress and ETA; a series that cannot be extracted is counted and does not stop the others."""
        name = str(project["id"])
        waiting, began = await self._cases.waiting(name), time.monotonic()
        rois, refused = 0, list[str]()
        for done, case in enumerate(waiting):
            eta_s = (time.monotonic() - began) / done * (len(waiting) - done) if done else -1.0
            await self._cases.progress(
                name, extraction, state="running", fraction=done / len(waiting), eta_s=eta_s, series=done, rois=rois
            )
            try:
                extracted = await self._extract(case)
            except IrpError as error:
                if error.code in PASSING:
                    raise
                refused.append(error.reason)
                continue
            await self._cases.keep(case, extracted, project)
            rois += len({(value.kind, value.roi) for value in extracted.values})
        failed = bool(refused) and len(refused) == len(waiting)
        await self._cases.progress(
            name,
            extraction,
            state="failed" if failed else "succeeded",
            fraction=1.0,
            eta_s=0.0,
            series=len(waiting) - len(refused),
            rois=rois,
            reason=f"{refused[0]} ({len(refused)} of {len(waiting)} series)" if refused else "",
        )

    async def _extract(self, case: Case) -> Extracted:
        volume, mask = await self._objects.get(case.volume), await self._objects.get(case.mask)
        guide = await self._objects.get(case.guide) if case.guide else None
        return await self._extractor.extract(volume, mask, guide)

"""Every accepted mask that was not extracted yet becomes rows of the tidy table."""

from __future__ import annotations

import time
from typing import Any

from irp_kernel.errors import IrpError

from irp_radiomics.app.ports import Cases, Extractor, Objects


class ExtractFeatures:
    """Work through a project; may run twice."""

    def __init__(self, cases: Cases, objects: Objects, extractor: Extractor) -> None:
        self._cases, self._objects, self._extractor = cases, objects, extractor

    async def __call__(self, project: dict[str, Any], extraction: str) -> None:
        """Extract, with progress and ETA; a case that cannot be extracted is counted and does not stop the others."""
        name = str(project["id"])
        waiting, began = await self._cases.waiting(name), time.monotonic()
        rois, refused = 0, ""
        for done, case in enumerate(waiting):
            eta_s = (time.monotonic() - began) / done * (len(waiting) - done) if done else -1.0
            await self._cases.progress(
                name, extraction, state="running", fraction=done / len(waiting), eta_s=eta_s, series=done, rois=rois
            )
            try:
                volume, mask = await self._objects.get(case.volume), await self._objects.get(case.mask)
                extracted = await self._extractor.extract(volume, mask)
            except IrpError as error:
                refused = error.reason
                continue
            await self._cases.keep(case, extracted, project)
            rois += len({(value.kind, value.roi) for value in extracted.values})
        await self._cases.progress(
            name,
            extraction,
            state="succeeded" if not refused else "failed",
            fraction=1.0,
            eta_s=0.0,
            series=len(waiting),
            rois=rois,
            reason=refused,
        )

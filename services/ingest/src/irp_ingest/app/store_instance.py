"""One file comes in: de-identify, store the object, commit the row."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from irp_deid import Profile
from irp_deid.errors import InstanceRefused
from irp_kernel import ObjectRef
from irp_kernel.errors import IrpError, TooLarge

from irp_ingest.app.keep_apart import KeepApart
from irp_ingest.app.open_series import OpenSeries
from irp_ingest.app.outcome import Outcome, treated
from irp_ingest.app.ports import Configurations, Index, Intakes, Objects, ProjectAt
from irp_ingest.domain.errors import ContentDiffers, ObjectsWereRemoved, SeriesBeingDeleted, failure_reason
from irp_ingest.domain.intake import Intake, Order

ATTEMPTS = 12  # while objects of the same series are being removed: half a minute
LONGEST_PAUSE_S = 5.0


class StoreInstance:
    """Take in one file of an upload."""

    def __init__(
        self, intakes: Intakes, objects: Objects, index: Index, configurations: Configurations, apart: KeepApart
    ) -> None:
        self._intakes, self._objects, self._index = intakes, objects, index
        self._configurations, self._apart = configurations, apart

    async def order(self, project: ProjectAt, site: str, study_uid: str) -> tuple[Order, float]:
        """What the whole upload has in common: the order for the workers, and how long a series stays open."""
        document = await self._configurations.read(project.configuration)
        # a profile that is not offered refuses the whole upload
        profile = Profile.from_configuration(document["deidentification"])
        order = Order(
            site_key=await self._index.site_key(project.id, site),
            options=frozenset(option.code for option in profile.options),
            positive_list=profile.positive_list,
            vocabulary=profile.vocabulary,
            sequences=document["sequences"],
            study_uid=study_uid,
            pixels=document["deidentification"].get("pixels", ()),
        )
        return order, float(document["series_quiet_s"])

    async def __call__(self, original: bytes, project: ProjectAt, order: Order, open_s: float) -> Outcome:
        """Stored durably, or refused with nothing stored, when this returns."""
        try:
            own = order if order.declared is None else await asyncio.to_thread(order.about, original)
            intake = await self._intakes.take_in(original, own)
        except (InstanceRefused, TooLarge) as refused:
            return await self.refuse(project, refused)
        if intake.doubt is None:
            return await self.keep(intake, project, open_s)
        try:
            return await self._apart(intake, project)
        except IrpError as refused:
            if not isinstance(refused, InstanceRefused | ContentDiffers):
                raise
            return await self.refuse(project, refused)

    async def keep(self, intake: Intake, project: ProjectAt, open_s: float) -> Outcome:
        """Object, then row: an instance that may be stored, now or after a person has looked at it."""
        known = Outcome.of(intake)
        try:
            new = await self._add(project, intake, open_s)
        except (ContentDiffers, SeriesBeingDeleted) as refused:
            await self._index.reject(project.id, refused.reason, refused.title())
            return replace(known, failure=failure_reason(refused), reason=refused.reason)
        return replace(known, repeated=not new, treated=treated(intake, again=not new))

    async def _add(self, project: ProjectAt, intake: Intake, open_s: float) -> bool:
        """While objects of the series are being removed, after that; False if it was there."""
        removals = 0
        for attempt in range(ATTEMPTS):
            ref = await self._put(project, intake)
            try:
                return await self._index.add(project, intake, ref, open_s, removals)
            except ObjectsWereRemoved as differs:
                removals = int(differs.details["removals"])
            except SeriesBeingDeleted:
                await asyncio.sleep(min(0.05 * 2**attempt, LONGEST_PAUSE_S))
        raise SeriesBeingDeleted

    async def _put(self, project: ProjectAt, intake: Intake) -> ObjectRef:
        return await self._objects.put(
            intake.data,
            project=project.id,
            entity="series",
            id=intake.series_uid,
            kind="instance",
            media_type="application/dicom",
            extension="dcm",
        )

    def series(self, project: ProjectAt, quiet_s: float, *, more: bool) -> OpenSeries:
        """The series of one upload, open while it goes on."""
        return OpenSeries(self._index, project.id, quiet_s, more=more)

    async def refuse(self, project: ProjectAt, refused: IrpError) -> Outcome:
        """Count a refusal; nothing of the file is kept."""
        await self._index.reject(project.id, refused.reason, refused.title())
        return Outcome(failure=failure_reason(refused), reason=refused.reason)

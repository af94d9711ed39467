"""One file comes in: de-identify, store the object, commit the row."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from irp_deid import Profile
from irp_deid.errors import InstanceRefused
from irp_deid.uploads import Treated
from irp_kernel import ObjectRef
from irp_kernel.errors import IrpError, TooLarge

from irp_ingest.app.open_series import OpenSeries
from irp_ingest.app.ports import Configurations, Index, Intakes, Objects, ProjectAt
from irp_ingest.domain.errors import ContentDiffers, ObjectsWereRemoved, SeriesBeingDeleted, failure_reason
from irp_ingest.domain.intake import Intake, Order

ATTEMPTS = 12  # while objects of the same series are being removed: half a minute
LONGEST_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a file: stored (failure 0), with what was done to it; or refused with a PS3.18 failure reason."""

    study_uid: str = ""
    series_uid: str = ""
    sop_uid: str = ""
    sop_class: str = ""
    failure: int = 0
    reason: str = ""
    repeated: bool = False
    treated: Treated | None = None


class StoreInstance:
    """Take in one file of an upload."""

    def __init__(self, intakes: Intakes, objects: Objects, index: Index, configurations: Configurations) -> None:
        self._intakes, self._objects, self._index = intakes, objects, index
        self._configurations = configurations

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
        )
        return order, float(document["series_quiet_s"])

    async def __call__(self, original: bytes, project: ProjectAt, order: Order, open_s: float) -> Outcome:
        """Stored durably, or refused with nothing stored, when this returns."""
        try:
            own = order if order.declared is None else await asyncio.to_thread(order.about, original)
            intake = await self._intakes.take_in(original, own)
        except (InstanceRefused, TooLarge) as refused:
            return await self.refuse(project, refused)
        known = Outcome(
            study_uid=intake.study_uid,
            series_uid=intake.series_uid,
            sop_uid=intake.sop_uid,
            sop_class=intake.sop_class,
        )
        try:
            new = await self._keep(project, intake, open_s)
        except (ContentDiffers, SeriesBeingDeleted) as refused:
            await self._index.reject(project.id, refused.reason, refused.title())
            return replace(known, failure=failure_reason(refused), reason=refused.reason)
        return replace(known, repeated=not new, treated=treated(intake, again=not new))

    async def _keep(self, project: ProjectAt, intake: Intake, open_s: float) -> bool:
        """Object, then row; while objects of the series are being removed, after that; False if it was there."""
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


def treated(intake: Intake, *, again: bool) -> Treated:
    """An instance as the upload's report says it."""
    return Treated(
        study_uid=intake.study_uid,
        series_uid=intake.series_uid,
        sop_uid=intake.sop_uid,
        sop_class=intake.sop_class,
        sha256=intake.sha256,
        original=intake.fingerprint,
        sequences=intake.sequences,
        report=intake.report,
        again=again,
    )

"""An accepted mask beside the proposals for its volume -> how far each was corrected; an alarm if that has changed."""

from __future__ import annotations

from dataclasses import replace

from irp_training.app.learnt_from import LearntFrom
from irp_training.app.ports import Change, Clock, Objects, Store
from irp_training.app.work_ports import Compute
from irp_training.domain.case import NOT_SAID
from irp_training.domain.correction import Correction, Proposal, compare
from irp_training.domain.dataset import Case
from irp_training.domain.drift import Drift, groups, look


class NoticeCorrection:
    """Remembers proposals, and compares those that were paired with a mask; each may be done twice."""

    def __init__(self, store: Store, objects: Objects, compute: Compute, now: Clock) -> None:
        self._store, self._objects, self._compute, self._now = store, objects, compute, now
        self._learnt_from = LearntFrom(store, objects)

    async def proposed(self, proposal: Proposal) -> None:
        """Keep the newest proposal of each model for each series."""
        async with self._store.change() as change:
            await change.remember_proposal(proposal)

    async def compare(self, project: str, series: str, name: str, version: int) -> None:
        """Compare, and look at the model's groups anew."""
        pair = await self._store.correction(project, series, name, version)
        if pair is None:
            return
        masks = [await self._objects.get(ref) for ref in (pair.proposed, pair.accepted)]
        dice, changed = await self._compute(compare, *masks)
        learnt = await self._learnt_from(await self._store.model(name, version))
        seen = (project, pair.patient) in learnt.patients
        async with self._store.change() as change:
            await change.save_correction(replace(pair, dice=dice, changed_voxels=changed, seen=seen))
            corrections, known = await change.corrections(name, version), await change.drifts(name, version)
            watched = groups(corrections)
            for group in watched:
                before = known.get(group)
                drift = self._since(before, look(pair.model, group, corrections, len(watched)))
                await change.save_drift(drift)
                if drift.drifted and (before is None or before.tested_cases != drift.tested_cases):
                    await change.announce_drift(drift)

    def _since(self, before: Drift | None, drift: Drift) -> Drift:
        """With the time of the last alarm: now, if this block is a new one."""
        known = before.alarmed_at if before else ""
        fresh = drift.drifted and (before is None or before.tested_cases != drift.tested_cases)
        return replace(drift, alarmed_at=self._now() if fresh else known)


async def pair_with_proposals(change: Change, project: str, case: Case, at: str) -> None:
    """Queue a comparison with every proposal for the volume that was accepted, in the transaction of the case itself.

    Args:
        change: of the case.
        project: its id.
        case: the accepted mask.
        at: when it was accepted.
    """
    for proposal in await change.proposals(project, case.series):
        if proposal.volume_sha256 == case.volume.sha256:
            pair = Correction(
                project=project,
                series=case.series,
                patient=case.patient,
                site=case.site,
                scanner="" if case.scanner == NOT_SAID else case.scanner,
                model=proposal.model,
                accepted=case.mask,
                proposed=proposal.mask,
                at=at,
            )
            await change.add_correction(pair, case.version)

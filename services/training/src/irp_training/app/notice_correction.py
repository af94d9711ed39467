"""An accepted mask beside the proposals for its volume -> how far each was corrected; an alarm if that has changed."""

from __future__ import annotations

from dataclasses import replace

from irp_training.app.learnt_from import LearntFrom
from irp_training.app.ports import Change, Clock, Objects, Store
from irp_training.app.work_ports import Compute
from irp_training.domain.datasets.case import NOT_SAID
from irp_training.domain.datasets.dataset import Case
from irp_training.domain.drift.blocks import groups, look
from irp_training.domain.drift.correction import Correction, Proposal, compare
from irp_training.domain.run import ModelRef


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
        """Compare, and look at the model's groups anew; nothing if the pair has left or changed meanwhile.

        A mask that was accepted meanwhile has its own comparison in the queue.
        """
        pair = await self._store.correction(project, series, name, version)
        if pair is None:
            return
        masks = [await self._objects.get(ref) for ref in (pair.proposed, pair.accepted)]
        dice, changed = await self._compute(compare, *masks)
        learnt = await self._learnt_from(await self._store.model(name, version))
        seen = (project, pair.patient) in learnt.patients
        async with self._store.change() as change:
            now = await change.lock_correction(pair)
            if now is None or (now.accepted, now.proposed) != (pair.accepted, pair.proposed):
                return
            await change.save_correction(replace(now, dice=dice, changed_voxels=changed, seen=seen))
            await look_anew(change, pair.model, self._now())


async def look_anew(change: Change, model: ModelRef, at: str) -> None:
    """Bring a version's groups up to date with its corrections, and announce alarms that are new.

    Args:
        change: that has written or deleted corrections.
        model: whose.
        at: when alarms are raised.
    """
    corrections, known = (
        await change.corrections(model.name, model.version),
        await change.drifts(model.name, model.version),
    )
    watched = groups(corrections)
    for group in dict.fromkeys([*watched, *known]):
        before = known.get(group)
        drift = look(model, group, corrections, len(watched), before)
        alarm = drift.drifted and drift.tested_cases > (before.tested_cases if before else 0)
        drift = replace(drift, alarmed_at=at) if alarm else drift
        if drift != before:
            await change.save_drift(drift)
        if alarm:
            await change.announce_drift(drift)


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

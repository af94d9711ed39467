"""A second person approves or rejects a promotion that waits."""

from __future__ import annotations

from irp_training.app.ports import Clock, Store
from irp_training.app.promote_model import crown
from irp_training.domain.errors import NothingToDecide, VerdictOutdated
from irp_training.domain.registry.candidacy import Candidacy, decided
from irp_training.domain.registry.registry import Model, champion


class DecidePromotion:
    """Four eyes: neither who asked nor who made the version can approve. Deciding the same again changes nothing."""

    def __init__(self, store: Store, now: Clock) -> None:
        self._store, self._now = store, now

    async def __call__(self, name: str, version: int, *, approve: bool, actor: str, comment: str = "") -> Model:
        """The version.

        Raises:
            ModelUnknown: there is no such version.
            NothingToDecide: it does not wait.
            SecondPersonNeeded: it is the person that asked, pushed the version, or started the run that made it.
            VerdictOutdated: another version became the champion meanwhile.
        """
        model = await self._store.model(name, version)
        async with self._store.change() as change:
            stood = await change.lock_candidacy(model.ref)
            if stood is None:
                raise NothingToDecide
            if not _is_said_already(stood, approve, actor):
                current = champion(await change.history(name))
                holds = current == (stood.champion.version if stood.champion else None)
                stood = decided(
                    stood,
                    maker=model.actor,
                    approve=approve,
                    holds=holds,
                    by=actor,
                    at=self._now(),
                    comment=comment,
                )
                await change.save_candidacy(stood)
                if stood.state == "promoted":
                    await crown(change, model, stood.asked_by, stood.decided_at, f"approved by {actor}")
        if stood.state == "outdated":
            raise VerdictOutdated
        return model


def _is_said_already(stood: Candidacy, approve: bool, actor: str) -> bool:
    return stood.decided_by == actor and stood.state == ("promoted" if approve else "rejected")

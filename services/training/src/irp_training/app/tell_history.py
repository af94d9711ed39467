"""The full history of a model, and what served at a time."""

from __future__ import annotations

from irp_kernel.errors import InvalidArgument, ModelUnknown

from irp_training.app.ports import Clock, Store
from irp_training.domain.registry.chronicle import Happened, chronicle, moment, served_at


class TellHistory:
    """Reads what the rows say; decides nothing."""

    def __init__(self, store: Store, now: Clock) -> None:
        self._store, self._now = store, now

    async def __call__(self, name: str, at: str = "") -> tuple[list[Happened], int | None]:
        """What happened, oldest first, and the champion at that time (empty = now).

        Raises:
            ModelUnknown: there is no such model.
            InvalidArgument: the time is not RFC 3339 with an offset.
        """
        try:
            when = moment(at or self._now())
        except ValueError:
            raise InvalidArgument("a time is RFC 3339, for example 2026-01-31T12:00:00Z") from None
        if when.tzinfo is None:
            raise InvalidArgument("a time needs its offset, for example 2026-01-31T12:00:00Z")
        versions = await self._store.models(name)
        if not versions:
            raise ModelUnknown(name=name)
        promotions = await self._store.history(name)
        happened = chronicle(versions, await self._store.candidacies(name), promotions)
        return [one for one in happened if moment(one.at) <= when], served_at(promotions, when)

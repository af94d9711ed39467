"""The full history of a model, and what served at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from irp_kernel.errors import InvalidArgument, ModelUnknown

from irp_training.app.ports import Store
from irp_training.domain.registry.chronicle import Happened, chronicle
from irp_training.domain.registry.serving import Served, Serving, moment, served_at


class Servings(Protocol):
    """What operators said of which version answers."""

    async def of(self, name: str) -> Sequence[Serving]:
        """Of a model, by revision."""
        ...


class TellHistory:
    """Reads what the rows say; decides nothing."""

    def __init__(self, store: Store, servings: Servings) -> None:
        self._store, self._servings = store, servings

    async def __call__(self, name: str, at: str = "") -> tuple[list[Happened], Served]:
        """What happened, oldest first, and what answered at that time (empty = now).

        Raises:
            ModelUnknown: there is no such model.
            InvalidArgument: the time is not RFC 3339 with an offset.
        """
        when = _time(at) if at else None
        versions = await self._store.models(name)
        if not versions:
            raise ModelUnknown(name=name)
        promotions, servings = await self._store.history(name), await self._servings.of(name)
        happened = chronicle(versions, await self._store.candidacies(name), promotions, servings, when)
        return happened, served_at(promotions, servings, when)


def _time(text: str) -> datetime:
    try:
        when = moment(text)
    except ValueError:
        raise InvalidArgument("a time is RFC 3339, for example 2026-01-31T12:00:00Z") from None
    if when.tzinfo is None:
        raise InvalidArgument("a time needs its offset, for example 2026-01-31T12:00:00Z")
    return when

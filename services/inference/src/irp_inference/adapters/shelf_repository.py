"""The repository's view of the shelf: which versions are known, which are held."""

from __future__ import annotations

from irp_chassis.db import Database
from irp_kernel.errors import ModelUnknown
from sqlalchemy import select

from irp_inference.adapters.db import CHAMPION, MODEL
from irp_inference.adapters.shelf import Shelf
from irp_inference.app.ports import Loaded
from irp_inference.app.repository import Entry


class ShelfRepository:
    """See app.repository.Repository."""

    def __init__(self, database: Database, shelf: Shelf) -> None:
        self._database, self._shelf = database, shelf

    async def index(self) -> list[Entry]:
        """See Repository.index."""
        async with self._database.read() as connection:
            query = select(MODEL.c.name, MODEL.c.version).order_by(MODEL.c.name, MODEL.c.version)
            known = [(row.name, row.version) for row in (await connection.execute(query)).all()]
        champions, away = await self._champions(), self._shelf.unloaded()
        held = {(model.name, model.version): model for model in self._shelf.loaded()}
        return [
            Entry(
                name=name,
                version=version,
                loaded=held.get((name, version)),
                champion=champions.get(name) == version,
                unloaded=name in away,
            )
            for name, version in sorted({*known, *champions.items(), *held})
        ]

    async def load(self, name: str, version: int | None) -> None:
        """See Repository.load."""
        await self._shelf.load(name, version)

    async def unload(self, name: str) -> None:
        """See Repository.unload."""
        if name not in {entry.name for entry in await self.index()}:
            raise ModelUnknown(name)
        await self._shelf.unload(name)

    async def ready(self) -> bool:
        """See Repository.ready; what was unloaded by hand is not waited for."""
        wanted = set(await self._champions()) - self._shelf.unloaded()
        return wanted <= set(self._shelf.crowned())

    def serving(self, name: str, version: int | None) -> Loaded | None:
        """See Repository.serving."""
        number = version if version is not None else self._shelf.crowned().get(name)
        if name in self._shelf.unloaded():
            return None
        return next((m for m in self._shelf.loaded() if (m.name, m.version) == (name, number)), None)

    async def _champions(self) -> dict[str, int]:
        async with self._database.read() as connection:
            rows = (await connection.execute(select(CHAMPION.c.name, CHAMPION.c.version))).all()
        return {row.name: row.version for row in rows}

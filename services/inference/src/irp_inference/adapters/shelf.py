"""Loaded models: champions stay, other versions come on demand; what is in use is never taken away."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from irp_bundle import PipelineSteps, read_bundle
from irp_chassis.db import Database
from irp_chassis.objects import Objects
from irp_kernel import ObjectRef
from irp_kernel.errors import ModelUnknown
from sqlalchemy import select

from irp_inference.adapters.db import CHAMPION, MODEL
from irp_inference.adapters.engines import ThreadNets, build_engine
from irp_inference.app.ports import Loaded

Key = tuple[str, int]


class Shelf:
    """See app.ports.Models."""

    def __init__(self, database: Database, objects: Objects, *, engine: str, threads: int, kept: int) -> None:
        self._database, self._objects = database, objects
        self._engine, self._threads, self._kept = engine, threads, kept
        self._loaded: OrderedDict[Key, Loaded] = OrderedDict()
        self._champions: dict[str, int] = {}
        self._away: set[str] = set()  # unloaded by hand
        self._locks: dict[Key, asyncio.Lock] = {}
        self._log = structlog.get_logger(part="shelf")

    @asynccontextmanager
    async def use(self, name: str, version: int | None) -> AsyncIterator[Loaded]:
        """See Models.use. A version that is replaced meanwhile stays alive as long as somebody holds it."""
        if name in self._away:
            raise ModelUnknown(f"{name} was unloaded; load it to use it again")
        number = version if version is not None else await self.champion(name)
        yield await self._load((name, number))

    async def champion(self, name: str) -> int:
        """Version of the champion.

        Raises:
            ModelUnknown: the model has none.
        """
        if name in self._champions:
            return self._champions[name]
        async with self._database.read() as connection:
            found = (await connection.execute(select(CHAMPION.c.version).where(CHAMPION.c.name == name))).scalar()
        if found is None:
            raise ModelUnknown
        return int(found)

    async def crown(self, name: str, version: int, bundle: ObjectRef) -> None:
        """Load a version and then, between two requests, make it the champion."""
        await self._load((name, version), bundle)
        self._away.discard(name)
        self._champions[name] = version
        self._log.info("champion_swapped", model=name, version=version)
        self._drop_unused()

    async def load(self, name: str, version: int | None) -> None:
        """Have a version (None = the champion) ready, also after `unload`."""
        await self._load((name, version if version is not None else await self.champion(name)))
        self._away.discard(name)

    async def unload(self, name: str) -> None:
        """Let go of every version; nobody gets one until `load` or a newer champion. Holders finish with theirs."""
        self._away.add(name)
        for key in [key for key in self._loaded if key[0] == name]:
            del self._loaded[key]

    def crowned(self) -> dict[str, int]:
        """Champions that are ready to serve: name -> version."""
        return {n: v for n, v in self._champions.items() if n not in self._away and (n, v) in self._loaded}

    def unloaded(self) -> set[str]:
        """Names that were unloaded by hand."""
        return set(self._away)

    def loaded(self) -> list[Loaded]:
        """Every loaded model, least recently used first."""
        return list(self._loaded.values())

    async def _load(self, key: Key, bundle: ObjectRef | None = None) -> Loaded:
        async with self._locks.setdefault(key, asyncio.Lock()):
            if key not in self._loaded:
                ref = bundle or await self._find(key)
                data = await self._objects.get(ref)
                self._loaded[key] = await asyncio.to_thread(self._build, key, data, ref.sha256)
                self._drop_unused()
            self._loaded.move_to_end(key)
            return self._loaded[key]

    async def _find(self, key: Key) -> ObjectRef:
        query = select(MODEL.c.bundle).where(MODEL.c.name == key[0], MODEL.c.version == key[1])
        async with self._database.read() as connection:
            found = (await connection.execute(query)).scalar()
        if found is None:
            raise ModelUnknown
        return ObjectRef(**found)

    def _build(self, key: Key, data: bytes, digest: str) -> Loaded:
        bundle = read_bundle(data)
        built = build_engine(bundle, self._engine, self._threads)
        return Loaded(
            name=key[0],
            version=key[1],
            digest=digest,
            steps=PipelineSteps(bundle),
            nets=ThreadNets(built, bundle.weight_bytes),
        )

    def _drop_unused(self) -> None:
        champions = set(self._champions.items())
        others = [key for key in self._loaded if key not in champions]
        for key in others[: max(0, len(others) - self._kept)]:
            del self._loaded[key]

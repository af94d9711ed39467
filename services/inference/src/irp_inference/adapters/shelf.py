"""Loaded models with their users: what is held is never taken away, what is not needed makes room for what is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

import structlog
from irp_bundle import Bundle, InteractiveSteps, PipelineSteps, read_bundle
from irp_chassis.objects import Objects
from irp_kernel.errors import IrpError, ModelUnknown
from irp_kernel.ids import Alias, name_versions
from prometheus_client import Counter, Gauge

from irp_inference.adapters.serving_rows import Known, ServingRows
from irp_inference.adapters.signatures import Signatures
from irp_inference.app.ports import Loaded, Nets
from irp_inference.domain.errors import ModelAltered
from irp_inference.domain.residency import Key, Resident, leaving
from irp_inference.domain.serving import Choice, Policy, choose, default_of

LOADED = Gauge("irp_inference_loaded_models", "Model versions that are loaded")
LOADS = Counter("irp_inference_model_loads", "Model versions that were loaded", ["how"])


class Opens(Protocol):
    """Opens models: see adapters.engines.Engines."""

    async def open(self, data: bytes, bundle: Bundle) -> Nets:
        """Loaded and warm."""
        ...


@dataclass(slots=True, eq=False)
class _Entry:
    loaded: Loaded
    users: int = 0
    last_used: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A version as this process has it.

    Attributes:
        key: name and version.
        state: loading, ready, failed, or unloaded.
        reason: why it failed; a word of the error tree.
        role: champion, pinned, canary, shadow, or loaded on somebody's word; empty = none.
        users: requests that hold it now.
        loaded: itself, if it is ready or parked.
    """

    key: Key
    state: Literal["loading", "ready", "failed", "unloaded"]
    reason: str
    role: str
    users: int
    loaded: Loaded | None


class Shelf:
    """See app.ports.Models.

    Args:
        budget_bytes: what loaded models may take together.
        on_closed: told of each model that was unloaded.
        signatures: checks what the registry signed before it is loaded.
    """

    def __init__(
        self,
        rows: ServingRows,
        objects: Objects,
        engines: Opens,
        *,
        budget_bytes: int,
        on_closed: Callable[[Loaded], None] = lambda _: None,
        signatures: Signatures | None = None,
    ) -> None:
        self._signatures = signatures or Signatures()
        self._rows, self._objects, self._engines = rows, objects, engines
        self._budget, self._on_closed = budget_bytes, on_closed
        self._entries: dict[Key, _Entry] = {}
        self._champions: dict[str, int] = {}
        self._policies: dict[str, tuple[Policy, int]] = {}
        self._kept: set[Key] = set()
        self._failed: dict[Key, str] = {}
        self._locks: dict[Key, asyncio.Lock] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger(part="shelf")

    async def restore(self) -> None:
        """Come back with the models that the rows name; one that fails is remembered with its reason."""
        self._policies = await self._rows.policies() | self._policies
        self._kept |= await self._rows.kept()
        champions = await self._rows.champions()
        for name, version in champions.items():
            if name not in self._champions and await self._try((name, version)):
                self._champions.setdefault(name, version)
        named = {(name, version) for name, (policy, _) in self._policies.items() for version in policy.versions}
        for key in sorted(named | self._kept):
            await self._try(key)

    @asynccontextmanager
    async def use(self, name: str, version: int | Alias | None) -> AsyncIterator[Loaded]:
        """See Models.use."""
        key = (name, await self.number(name, version))
        entry = self._entries.get(key) or await self._load(key)
        entry.users += 1
        try:
            yield entry.loaded
        finally:
            entry.users -= 1
            entry.last_used = time.monotonic()
            if self._entries.get(key) is not entry:
                self._close_unused(entry)

    async def choice(self, name: str, series_uid: str) -> Choice:
        """Which version answers for a series. ModelUnknown if there is none."""
        return choose(self.policy(name)[0], await self.champion(name), name, series_uid, self._usable(name))

    async def default(self, name: str) -> Choice:
        """Which version answers whom no canary answers. ModelUnknown if there is none."""
        return default_of(self.policy(name)[0], await self.champion(name), self._usable(name))

    def _usable(self, name: str) -> list[int]:
        """Versions that an operator named, and that are loaded."""
        return [version for version in self.policy(name)[0].versions if (name, version) in self._entries]

    def policy(self, name: str) -> tuple[Policy, int]:
        """What was said about a model, and its revision; (nothing, 0) if nothing was."""
        return self._policies.get(name, (Policy(), 0))

    async def champion(self, name: str) -> int:
        """Version of the champion.

        Raises:
            ModelUnknown: the model has none.
        """
        if name not in self._champions:
            found = (await self._rows.champions()).get(name)
            if found is None:
                raise ModelUnknown
            self._champions.setdefault(name, found)
        return self._champions[name]

    async def number(self, name: str, version: int | Alias | None) -> int:
        """The version that is meant; None = the champion.

        Raises:
            ModelUnknown: the model has no champion, or no version that the alias names now.
        """
        if isinstance(version, int):
            return version
        if version in {None, "champion"}:
            return await self.champion(name)
        newest, previous = await self._rows.newest_and_previous(name)
        champion = self._champions.get(name) or (await self._rows.champions()).get(name, 0)
        found = name_versions(newest, champion, previous).get(version or "champion")
        if found is None:
            raise ModelUnknown
        return found

    async def crown(self, name: str, version: int) -> None:
        """Load a version and then, between two requests, make it the champion; if it fails, the old one stays."""
        if await self._try((name, version)) or name not in self._champions:
            self._champions[name] = version
            self._log.info("champion_swapped", model=name, version=version)
        self._make_room(0)

    async def configure(self, name: str, policy: Policy, revision: int) -> None:
        """Follow what an operator said; an older revision is dropped."""
        if revision > self.policy(name)[1]:
            for version in sorted(policy.versions):
                await self._try((name, version))
            self._policies[name] = (policy, revision)
            self._make_room(0)

    async def load(self, name: str, version: int | None) -> Loaded:
        """Load by name, anew if it had failed or was parked, and keep it until it is unloaded; None = the champion.

        Raises:
            ModelUnknown, ModelAltered, ModelsTooLarge, EngineDisagrees...: why not.
        """
        key = (name, version if version is not None else await self.champion(name))
        self._failed.pop(key, None)
        known = self._entries.get(key)
        if known is not None and known.loaded.nets.parked:
            self._take_out(key)
        entry = await self._load(key)
        self._kept.add(key)
        await self._rows.keep(key, True)
        return entry.loaded

    async def renew(self, key: Key) -> None:
        """Open a loaded version anew and swap between two requests; if it cannot be opened, it serves on as it is."""
        known = await self._rows.model(key)
        if known is None or key not in self._entries:
            return
        async with self._locks.setdefault(key, asyncio.Lock()):
            try:
                entry = _Entry(await self._open(known))
            except IrpError as error:
                self._log.error("model_not_renewed", model=key[0], version=key[1], reason=error.reason)
                return
            self._take_out(key)
            self._entries[key] = entry
            LOADED.set(len(self._entries))

    async def unload(self, name: str, version: int | None) -> None:
        """Let go of one version, or all; each ends with its last user. A version that serves is loaded when asked."""
        for key in [key for key in self._entries if key[0] == name and version in {None, key[1]}]:
            self._kept.discard(key)
            await self._rows.keep(key, False)
            self._take_out(key)

    async def index(self) -> list[Status]:
        """Every registered version."""
        keys = sorted({*await self._rows.versions(), *self._entries, *self._failed})
        return [self.status(key) for key in keys]

    def loaded(self) -> list[Status]:
        """Every version that is loaded, loading, or failed."""
        keys = {*self._entries, *self._failed, *(key for key, lock in self._locks.items() if lock.locked())}
        return [self.status(key) for key in sorted(keys)]

    async def close(self) -> None:
        """Let go of everything."""
        for key in list(self._entries):
            self._take_out(key)
        await asyncio.gather(*self._closing)

    def status(self, key: Key) -> Status:
        """One version."""
        entry, lock = self._entries.get(key), self._locks.get(key)
        state: Literal["loading", "ready", "failed", "unloaded"] = "unloaded"
        parked = entry is not None and entry.loaded.nets.parked
        if entry:
            state = "failed" if parked else "ready"
        elif lock and lock.locked():
            state = "loading"
        elif key in self._failed:
            state = "failed"
        return Status(
            key=key,
            state=state,
            reason="MODEL_PARKED" if parked else self._failed.get(key, ""),
            role=self._role(key),
            users=entry.users if entry else 0,
            loaded=entry.loaded if entry else None,
        )

    def _role(self, key: Key) -> str:
        name, version = key
        policy = self.policy(name)[0]
        if self._champions.get(name) == version:
            return "champion"
        if policy.pin == version:
            return "pinned"
        for role, share in (("canary", policy.canary), ("shadow", policy.shadow)):
            if share and share.version == version:
                return role
        return "kept" if key in self._kept else ""

    async def _try(self, key: Key) -> bool:
        try:
            await self._load(key)
        except Exception as error:
            reason = error.reason if isinstance(error, IrpError) else "INTERNAL"
            self._failed[key] = reason
            self._log.error("model_not_loaded", model=key[0], version=key[1], reason=reason, exc_info=error)
            return False
        return True

    async def _load(self, key: Key) -> _Entry:
        known = await self._rows.model(key)
        if known is None:
            raise ModelUnknown
        async with self._locks.setdefault(key, asyncio.Lock()):
            entry = self._entries.get(key)
            if entry is None:
                entry = _Entry(await self._open(known))
                self._entries[key] = entry
                self._failed.pop(key, None)
                LOADS.labels("loaded").inc()
                LOADED.set(len(self._entries))
            entry.last_used = time.monotonic()
            return entry

    async def _open(self, known: Known) -> Loaded:
        name, version = known.key
        data = await self._objects.get(known.bundle)  # verified: its SHA-256 is the reference's
        if known.bundle.sha256 != known.digest:
            raise ModelAltered(model=name, version=version)
        self._signatures.check(known)
        bundle = await asyncio.to_thread(read_bundle, data, build=False)  # exporting it builds its networks
        self._make_room(bundle.weight_bytes)
        nets = await self._engines.open(data, bundle)
        try:
            self._make_room(nets.memory_bytes)
        except BaseException:
            await nets.close()
            raise
        prompts = bundle.spec.prompts
        return Loaded(
            name=name,
            version=version,
            digest=known.digest,
            steps=PipelineSteps(bundle),
            nets=nets,
            interactive=None if prompts is None else InteractiveSteps(bundle, prompts),
        )

    def _make_room(self, coming: int) -> None:
        residents = [
            Resident(
                key=key,
                size=entry.loaded.nets.memory_bytes,
                users=entry.users,
                last_used=entry.last_used,
                needed=bool(self._role(key)),
            )
            for key, entry in self._entries.items()
        ]
        for key in leaving(residents, self._budget, coming):
            self._take_out(key)

    def _take_out(self, key: Key) -> None:
        """Nobody finds it any more; it is closed with its last user."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            LOADED.set(len(self._entries))
            self._close_unused(entry)

    def _close_unused(self, entry: _Entry) -> None:
        if not entry.users:
            LOADS.labels("unloaded").inc()
            self._on_closed(entry.loaded)
            task = asyncio.create_task(entry.loaded.nets.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

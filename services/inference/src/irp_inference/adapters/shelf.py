"""Which versions serve: champions, what operators said, and what was loaded on somebody's word."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import structlog
from irp_chassis.objects import Objects
from irp_kernel.errors import IrpError, ModelUnknown
from irp_kernel.ids import Digest, VersionName, name_versions, split_model

from irp_inference.adapters.opening import Opening, Opens
from irp_inference.adapters.residents import Residents
from irp_inference.adapters.serving_rows import ServingRows
from irp_inference.adapters.signatures import Signatures
from irp_inference.app.ports import Loaded
from irp_inference.domain.residency import Key
from irp_inference.domain.serving import Choice, Policy, choose, default_of


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
        self._rows, self._opening = rows, Opening(rows, objects, engines, signatures or Signatures())
        self._residents = Residents(
            self._opening, budget_bytes=budget_bytes, needed=lambda key: bool(self._role(key)), on_closed=on_closed
        )
        self._champions: dict[str, int] = {}
        self._policies: dict[str, tuple[Policy, int]] = {}
        self._kept: set[Key] = set()
        self._numbers: dict[tuple[str, Digest], int] = {}
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
    async def use(self, name: str, version: VersionName | None) -> AsyncIterator[Loaded]:
        """See Models.use."""
        key = (name, await self.number(name, version))
        async with self._residents.hold(key) as loaded:
            yield loaded

    async def choice(self, name: str, series_uid: str) -> Choice:
        """Which version answers for a series. ModelUnknown if there is none."""
        return choose(self.policy(name)[0], await self.champion(name), name, series_uid, self._usable(name))

    async def default(self, name: str) -> Choice:
        """Which version answers whom no canary answers. ModelUnknown if there is none."""
        return default_of(self.policy(name)[0], await self.champion(name), self._usable(name))

    def _usable(self, name: str) -> list[int]:
        """Versions that an operator named, and that are loaded."""
        return [version for version in self.policy(name)[0].versions if self._residents.loaded((name, version))]

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

    async def meant(self, model: str, series_uid: str) -> str:
        """A model as somebody says it -> name@number of the version that answers for a series now.

        Raises:
            ModelUnknown: as `number`.
        """
        name, version = split_model(model)
        number = (await self.choice(name, series_uid)).version if version is None else await self.number(name, version)
        return f"{name}@{number}"

    async def number(self, name: str, version: VersionName | None) -> int:
        """The version that is meant; None = the champion.

        Raises:
            ModelUnknown: the model has no champion, no version that the alias names now, or none of that digest.
        """
        if isinstance(version, int):
            return version
        if isinstance(version, Digest):
            return await self._number_of(name, version)
        if version in {None, "champion"}:
            return await self.champion(name)
        newest, previous = await self._rows.newest_and_previous(name)
        champion = self._champions.get(name) or (await self._rows.champions()).get(name, 0)
        found = name_versions(newest, champion, previous).get(version or "champion")
        if found is None:
            raise ModelUnknown
        return found

    async def _number_of(self, name: str, digest: Digest) -> int:
        """Looked up once: a digest names its version for ever."""
        if (name, digest) not in self._numbers:
            self._numbers[name, digest] = await self._rows.number_of(name, digest.hex)
        return self._numbers[name, digest]

    async def crown(self, name: str, version: int) -> None:
        """Load a version and then, between two requests, make it the champion; if it fails, the old one stays."""
        if await self._try((name, version)) or name not in self._champions:
            self._champions[name] = version
            self._log.info("champion_swapped", model=name, version=version)
        self._residents.make_room(0)

    async def configure(self, name: str, policy: Policy, revision: int) -> None:
        """Follow what an operator said; an older revision is dropped."""
        if revision > self.policy(name)[1]:
            for version in sorted(policy.versions):
                await self._try((name, version))
            self._policies[name] = (policy, revision)
            self._residents.make_room(0)

    async def load(self, name: str, version: int | None) -> Loaded:
        """Load by name, anew if it was refused or parked, and keep it until it is unloaded; None = the champion.

        Raises:
            ModelUnknown, ModelAltered, ModelsTooLarge, EngineDisagrees...: why not.
        """
        key = (name, version if version is not None else await self.champion(name))
        self._opening.pardon(await self._opening.find(key))
        self._residents.failed.pop(key, None)
        known = self._residents.loaded(key)
        if known is not None and known.nets.parked:
            self._residents.take_out(key)
        async with self._residents.hold(key) as loaded:
            if self._residents.loaded(key) is loaded:  # else it was unloaded meanwhile, which is the later word
                self._kept.add(key)
                await self._rows.keep(key, True)
            return loaded

    async def renew(self, key: Key) -> None:
        """See Residents.renew."""
        await self._residents.renew(key)

    async def unload(self, name: str, version: int | None) -> None:
        """Let go of one version, or all; each ends with its last user. A version that serves is loaded when asked."""
        known = {*self._residents.keys, *self._kept}
        going = sorted(key for key in known if key[0] == name and version in {None, key[1]})
        for key in going:
            self._residents.take_out(key)
            self._kept.discard(key)
        for key in going:
            await self._rows.keep(key, False)

    async def index(self) -> list[Status]:
        """Every registered version."""
        keys = sorted({*await self._rows.versions(), *self._residents.keys, *self._residents.failed})
        return [self.status(key) for key in keys]

    def loaded(self) -> list[Status]:
        """Every version that is loaded, loading, or failed."""
        return [self.status(key) for key in sorted({*self._residents.keys, *self._residents.failed})]

    async def close(self) -> None:
        """Let go of everything."""
        await self._residents.close()

    def status(self, key: Key) -> Status:
        """One version."""
        entry, reason = self._residents.entry(key), self._residents.failed.get(key, "")
        loaded = entry.loaded if entry else None
        state: Literal["loading", "ready", "failed", "unloaded"] = "failed" if reason else "unloaded"
        if loaded is not None:
            state, reason = ("failed", "MODEL_PARKED") if loaded.nets.parked else ("ready", reason)
        elif entry is not None:
            state = "loading"
        return Status(
            key=key,
            state=state,
            reason=reason,
            role=self._role(key),
            users=entry.users if entry else 0,
            loaded=loaded,
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
            async with self._residents.hold(key):
                return True
        except Exception as error:
            reason = error.reason if isinstance(error, IrpError) else "INTERNAL"
            self._residents.failed[key] = reason
            self._log.error("model_not_loaded", model=key[0], version=key[1], reason=reason, exc_info=error)
            return False

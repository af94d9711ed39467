"""What both doors of the protocol ask: which networks there are, and what they answer."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

import numpy as np
from irp_bundle import Stage
from irp_chassis.auth import ADMIN
from irp_chassis.rpc import caller
from irp_kernel.errors import IrpError, ModelUnknown
from irp_kernel.ids import BadIdentifier, Slug, VersionName, read_version
from numpy.typing import NDArray

from irp_inference.adapters.batches import DynamicBatches
from irp_inference.adapters.shelf import Shelf, Status
from irp_inference.app.ports import Loaded, Ticket
from irp_inference.app.whoever_serves import WhoeverServes
from irp_inference.domain.errors import TensorNotUsable
from irp_inference.domain.statistics import NetStatistics

INPUT, OUTPUT, FP32 = "image", "logits", "FP32"
MAX_BATCH = 4096  # inputs of one request
STAGES: dict[str, Stage] = {stage: stage for stage in get_args(Stage)}
MISFITS = (ModelUnknown, TensorNotUsable)  # of a canary that has other networks than the default version
LARGE = 4 << 20  # bytes from which a tensor is looked through or packed in a thread: below, a thread costs more

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """One network of a loaded version.

    Attributes:
        name: `<model>.<stage>`.
        version: of the model.
        stage: which network.
        model: the loaded version.
    """

    name: str
    version: int
    stage: Stage
    model: Loaded

    @property
    def inputs(self) -> tuple[int, ...]:
        """One input: (channels, *size)."""
        return self.model.steps.bundle.input_shape(self.stage)

    @property
    def outputs(self) -> tuple[int, ...]:
        """Its logits: (channels, *size)."""
        return self.model.steps.bundle.logit_channels(self.stage), *self.inputs[1:]


class Nets:
    """Networks by the protocol's names and versions; who names no version speaks of the one that serves by default."""

    def __init__(self, shelf: Shelf, whoever: WhoeverServes, batches: DynamicBatches) -> None:
        self._shelf, self._whoever, self._batches = shelf, whoever, batches
        self._unnamed = itertools.count()

    async def infer(self, name: str, version: str, images: Array, ticket: Ticket, id_: str) -> tuple[int, Array]:
        """The version that answered, and its logits.

        Args:
            name: `<model>.<stage>`.
            version: a number, an alias, or "sha256:<digest>"; empty = whichever serves.
            images: float32 (N, channels, *size).
            ticket: whose.
            id_: of the request: the same one gets the same version while the policy stays; empty = it has none.

        Raises:
            ModelUnknown, TensorNotUsable, and those of the batches.
        """
        model, stage = split(name)
        asked = _version(version)
        await _require_finite(images)

        async def ask(number: int) -> tuple[int, Array]:
            async with self._shelf.use(model, number) as loaded:
                _require_fits(images, _net(loaded, stage))
                return number, await self._batches.forward(loaded, stage, images, ticket)

        if asked is not None:
            return await ask(await self._shelf.number(model, asked))
        place = id_ or str(next(self._unnamed))  # requests without an id fall evenly, too
        return await self._whoever(model, place, ask, MISFITS)

    async def describe(self, name: str, version: str) -> Net:
        """A network; its model is loaded if it is not."""
        model, stage = split(name)
        async with self._shelf.use(model, await self._number(model, version)) as loaded:
            return _net(loaded, stage)

    async def ready(self, name: str, version: str) -> bool:
        """True if it can answer at once; nothing is loaded for the question."""
        try:
            model, stage = split(name)
            number = await self._number(model, version)
        except IrpError:
            return False
        status = self._shelf.status((model, number))
        return status.state == "ready" and status.loaded is not None and stage in status.loaded.steps.bundle.stages

    async def server_ready(self) -> bool:
        """True once nothing is being loaded."""
        return all(status.state != "loading" for status in self._shelf.loaded())

    async def statistics(self, name: str, version: str) -> list[tuple[str, int, NetStatistics]]:
        """Counts of one network, or of all that are loaded; nothing is loaded for the question.

        Raises:
            ModelUnknown: there is no such network, or it is not loaded, and has counted nothing.
        """
        if name:
            model, stage = split(name)
            loaded = self._shelf.status((model, await self._number(model, version))).loaded
            if loaded is None:
                raise ModelUnknown("there is no such version, or it is not loaded: nothing is counted")
            net = _net(loaded, stage)
            return [(name, net.version, self._counts(loaded, stage))]
        return [
            (f"{loaded.name}.{stage}", loaded.version, self._counts(loaded, stage))
            for loaded in _loaded(self._shelf.loaded())
            for stage in loaded.steps.bundle.stages
        ]

    async def index(self, ready: bool) -> list[tuple[str, int, str, str]]:
        """(name, version, state, reason) of every network; of a version that is not loaded its segment net is named."""
        found: list[tuple[str, int, str, str]] = []
        for status in await self._shelf.index():
            model, version = status.key
            stages: tuple[Stage, ...] = status.loaded.steps.bundle.stages if status.loaded else ("segment",)
            state = {"ready": "READY", "loading": "LOADING"}.get(status.state, "UNAVAILABLE")
            if state == "READY" or not ready:
                found += [(f"{model}.{stage}", version, state, status.reason) for stage in stages]
        return found

    async def load(self, name: str, parameters: Iterable[str]) -> None:
        """Load the version of a network's model that serves by default, and keep it. Admins only."""
        caller().require_role(ADMIN)
        if set(parameters):
            raise TensorNotUsable("models come from the registry: push a bundle there instead of `config` or `file:`")
        model = split(name)[0]
        await self._shelf.load(model, self._shelf.policy(model)[0].pin)

    async def unload(self, name: str) -> None:
        """Let go of every version of a network's model. Admins only."""
        caller().require_role(ADMIN)
        await self._shelf.unload(split(name)[0], None)

    async def _number(self, model: str, version: str) -> int:
        """The version that is meant; empty = the one that serves by default."""
        asked = _version(version)
        return (await self._shelf.default(model)).version if asked is None else await self._shelf.number(model, asked)

    def _counts(self, model: Loaded, stage: Stage) -> NetStatistics:
        return self._batches.statistics(model.name, model.version, stage)


def split(name: str) -> tuple[str, Stage]:
    """`<model>.<stage>` -> both. ModelUnknown if it is something else."""
    base, _, wanted = name.rpartition(".")
    if wanted not in STAGES:
        raise ModelUnknown("models are named <name>.locate, <name>.encode and <name>.segment")
    return Slug(base), STAGES[wanted]


def _version(text: str) -> VersionName | None:
    """Empty and 0 say nothing: clients fill in what their users leave out."""
    if text in {"", "0"}:
        return None
    try:
        return read_version(text)
    except BadIdentifier as error:
        raise ModelUnknown("versions are integers, sha256:<digest>, or candidate, champion, previous") from error


def _net(model: Loaded, stage: Stage) -> Net:
    if stage not in model.steps.bundle.stages:
        raise ModelUnknown("this model has no such stage")
    return Net(name=f"{model.name}.{stage}", version=model.version, stage=stage, model=model)


def _loaded(statuses: Iterable[Status]) -> list[Loaded]:
    return [status.loaded for status in statuses if status.loaded is not None]


def _require_fits(images: Array, net: Net) -> None:
    if images.ndim == 0 or not 1 <= len(images) <= MAX_BATCH or images.shape[1:] != net.inputs:
        raise TensorNotUsable(f"the shape is (1 to {MAX_BATCH}, {', '.join(map(str, net.inputs))})")


async def _require_finite(images: Array) -> None:
    if images.nbytes < LARGE:
        finite = bool(np.isfinite(images).all())
    else:
        finite = await asyncio.to_thread(lambda: bool(np.isfinite(images).all()))
    if not finite:
        raise TensorNotUsable("the tensor holds numbers that are not finite")

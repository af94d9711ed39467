"""From a registered version to a loaded one: fetched, checked, its networks opened and warm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from irp_bundle import Bundle, InteractiveSteps, PipelineSteps, read_bundle
from irp_chassis.objects import Objects
from irp_kernel.errors import InvalidArgument, ModelUnknown, TooLarge

from irp_inference.adapters.serving_rows import Known, ServingRows
from irp_inference.adapters.signatures import Signatures
from irp_inference.app.ports import Loaded, Nets
from irp_inference.domain.errors import EngineDisagrees, LogitsNotFinite, ModelAltered, PassFailed
from irp_inference.domain.refusals import Refusals
from irp_inference.domain.residency import Key

# They depend on the bundle and on this room's engines alone: it is broken, its networks differ, or cannot be exported.
LASTING = (InvalidArgument, TooLarge, EngineDisagrees, LogitsNotFinite, PassFailed)

MakeRoom = Callable[[int], None]


class Opens(Protocol):
    """Opens models: see adapters.engines.Engines."""

    async def open(self, data: bytes, bundle: Bundle) -> Nets:
        """Loaded and warm."""
        ...


class Opening:
    """Opens versions; one whose bundle was refused lately is refused at once, with the same error.

    Args:
        rows: which versions there are.
        objects: holds their bundles.
        engines: runs their networks.
        signatures: checks what the registry signed before it is loaded.
        clock: monotonic, seconds.
    """

    def __init__(
        self,
        rows: ServingRows,
        objects: Objects,
        engines: Opens,
        signatures: Signatures,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rows, self._objects, self._engines, self._signatures = rows, objects, engines, signatures
        self._clock, self._refusals = clock, Refusals()

    async def find(self, key: Key) -> Known:
        """A registered version. ModelUnknown if there is none."""
        known = await self._rows.model(key)
        if known is None:
            raise ModelUnknown
        return known

    async def __call__(self, known: Known, make_room: MakeRoom) -> Loaded:
        """A version, loaded.

        Args:
            known: which.
            make_room: told how many bytes come, before and after they are known exactly; may refuse.

        Raises:
            ModelNotSigned, ModelAltered, ModelsTooLarge: it is not loaded.
            EngineDisagrees, LogitsNotFinite, PassFailed, InvalidArgument, TooLarge: its bundle is refused.
        """
        refused = self._refusals.of(known.digest, self._clock())
        if refused is not None:
            raise refused
        try:
            return await self._open(known, make_room)
        except LASTING as error:
            self._refusals.add(known.digest, error, self._clock())
            raise

    def pardon(self, known: Known) -> None:
        """Try a version again, though it was refused."""
        self._refusals.forget(known.digest)

    async def _open(self, known: Known, make_room: MakeRoom) -> Loaded:
        name, version = known.key
        data = await self._objects.get(known.bundle)  # verified: its SHA-256 is the reference's
        if known.bundle.sha256 != known.digest:
            raise ModelAltered(model=name, version=version)
        self._signatures.check(known)
        bundle = await asyncio.to_thread(read_bundle, data, build=False)  # exporting it builds its networks
        make_room(bundle.weight_bytes)
        nets = await self._engines.open(data, bundle)
        try:
            make_room(nets.memory_bytes)
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

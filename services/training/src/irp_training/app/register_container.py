"""A pushed archive -> a version of a container, queued for its conformance test."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from irp_kernel import ObjectRef, sha256_of
from irp_kernel.ids import Slug

from irp_training.app.container_ports import Archives, Containers
from irp_training.app.ports import Clock
from irp_training.app.register_model import REGISTRY
from irp_training.domain.container_errors import ImageNotAllowed
from irp_training.domain.containers.archive import Image, read_image
from irp_training.domain.containers.container import Container
from irp_training.domain.containers.sockets import canonical, read_sockets
from irp_training.domain.containers.weights import weights_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What somebody pushes.

    Attributes:
        name: that the version belongs to.
        archive: of the image, where it lies for the moment.
        model: archive of weights, likewise; None = the image brings its own.
        sockets: the declaration, JSON.
        actor: who pushes it.
        reference: where a cluster pulls it from: `registry/name@sha256:...`; empty = one machine only.
        licence: of the algorithm, in its own words.
    """

    name: str
    archive: Path
    sockets: str
    actor: str
    model: Path | None = None
    reference: str = ""
    licence: str = ""


class RegisterContainer:
    """Reads what the archive says about itself, keeps it, and gives it a version; nothing of it is run here."""

    def __init__(self, containers: Containers, archives: Archives, now: Clock, limit: int) -> None:
        self._containers, self._archives, self._now, self._limit = containers, archives, now, limit

    async def __call__(self, pushed: Pushed) -> Container:
        """Register.

        Raises:
            SocketsNotValid, ImageNotReadable, ImageNotAllowed, WeightsNotReadable.
        """
        read_sockets(pushed.sockets)
        image = await asyncio.to_thread(self._read, pushed.archive)
        if pushed.reference:
            _require_runs_in_a_cluster(pushed.reference, image)
        size = await asyncio.to_thread(self._measure, pushed.model) if pushed.model else 0
        model = await self._kept(pushed.name, pushed.model, "model") if pushed.model else None
        sockets = canonical(pushed.sockets)
        identity = "\n".join((image.id, model.sha256 if model else "", pushed.reference, sockets))
        return await self._containers.add(
            Container(
                name=pushed.name,
                version=0,
                digest=sha256_of(identity.encode()),
                image=image.id,
                archive=await self._kept(pushed.name, pushed.archive, "archive"),
                sockets=sockets,
                actor=pushed.actor,
                created_at=self._now(),
                reference=pushed.reference,
                licence=pushed.licence,
                model=model,
                model_bytes=size,
            )
        )

    async def _kept(self, name: str, path: Path, kind: str) -> ObjectRef:
        where = {"project": REGISTRY, "entity": "container", "id": Slug(name), "kind": kind}
        return await self._archives.put_file(path, **where, media_type="application/x-tar", extension="tar")

    def _measure(self, model: Path) -> int:
        with model.open("rb") as file:
            return weights_size(file, self._limit)

    def _read(self, archive: Path) -> Image:
        with archive.open("rb") as file:
            return read_image(file, self._limit)


def _require_runs_in_a_cluster(reference: str, image: Image) -> None:
    """A reference must name by digest what the archive holds, so that both places run the same bytes."""
    if not image.manifest or not reference.endswith(f"@sha256:{image.manifest}"):
        raise ImageNotAllowed("the reference must end with @sha256: and the digest of the archive's OCI manifest")
    # Kubernetes cannot see that a name is not root's, and never starts such a container.
    if not image.user.partition(":")[0].strip().isdecimal():
        raise ImageNotAllowed("a cluster starts only an image whose USER is a number, such as 1000; this is a name")

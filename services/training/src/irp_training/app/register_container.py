"""A pushed archive -> a version of a container, queued for its conformance test."""

from __future__ import annotations

import asyncio
from pathlib import Path

from irp_kernel import sha256_of
from irp_kernel.ids import Slug

from irp_training.app.container_ports import Archives, Containers
from irp_training.app.ports import Clock
from irp_training.app.register_model import REGISTRY
from irp_training.domain.container_errors import ImageNotAllowed
from irp_training.domain.containers.archive import Image, read_image
from irp_training.domain.containers.container import Container
from irp_training.domain.containers.sockets import canonical, read_sockets


class RegisterContainer:
    """Reads what the archive says about itself, keeps it, and gives it a version; nothing of it is run here."""

    def __init__(self, containers: Containers, archives: Archives, now: Clock, limit: int) -> None:
        self._containers, self._archives, self._now, self._limit = containers, archives, now, limit

    async def __call__(
        self, name: str, archive: Path, sockets: str, actor: str, *, reference: str = "", licence: str = ""
    ) -> Container:
        """Register.

        Args:
            name: that the version belongs to.
            archive: where it lies for the moment.
            sockets: the declaration, JSON.
            actor: who pushes it.
            reference: where a cluster pulls it from: `registry/name@sha256:...`; empty = one machine only.
            licence: of the algorithm, in its own words.

        Raises:
            SocketsNotValid, ImageNotReadable, ImageNotAllowed.
        """
        read_sockets(sockets)
        image = await asyncio.to_thread(self._read, archive)
        _require_same(reference, image)
        ref = await self._archives.put_file(
            archive,
            project=REGISTRY,
            entity="container",
            id=Slug(name),
            kind="archive",
            media_type="application/x-tar",
            extension="tar",
        )
        declared = canonical(sockets)
        return await self._containers.add(
            Container(
                name=name,
                version=0,
                digest=sha256_of(f"{image.id}\n{reference}\n{declared}".encode()),
                image=image.id,
                archive=ref,
                sockets=declared,
                actor=actor,
                created_at=self._now(),
                reference=reference,
                licence=licence,
            )
        )

    def _read(self, archive: Path) -> Image:
        with archive.open("rb") as file:
            return read_image(file, self._limit)


def _require_same(reference: str, image: Image) -> None:
    """A reference must name by digest what the archive holds, so that both places run the same bytes."""
    if reference and not (image.manifest and reference.endswith(f"@sha256:{image.manifest}")):
        raise ImageNotAllowed("the reference must end with @sha256: and the digest of the archive's OCI manifest")

"""What a container archive says about its image, read without unpacking anything.

Two forms: what `docker save` writes (manifest.json), and an OCI image layout (index.json, blobs by SHA-256). The
layers are the runtime's business; only small JSON members are looked at, in one pass, within bounds.

Source: OCI Image Format Specification 1.0; Grand Challenge algorithm contract (linux/amd64, USER not root, ENTRYPOINT).
"""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from irp_kernel import sha256_of

from irp_training.domain.container_errors import ImageNotAllowed, ImageNotReadable

SMALL = 4 << 20  # bytes of a member that may be a manifest or a configuration
KEPT = 32 << 20  # bytes of all such members together
MEMBERS = 10_000  # of an archive
ROOTS = frozenset({"", "root", "0"})
PLATFORM = ("linux", "amd64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image.

    Attributes:
        id: SHA-256 of its configuration; what runtimes call the image's id.
        manifest: SHA-256 of its OCI manifest, what registries call its digest; empty in docker's form.
        user: whom it runs as.
        entrypoint: what it runs.
    """

    id: str
    manifest: str
    user: str
    entrypoint: tuple[str, ...]


def read_image(file: BinaryIO, limit: int) -> Image:
    """The one image of an archive, if it may run here.

    Args:
        file: the archive, at its beginning.
        limit: bytes that it may unpack to.

    Raises:
        ImageNotReadable: not an archive of one image.
        ImageNotAllowed: the image does not keep the contract.
    """
    small = _small_members(file, limit)
    manifest, config = _oci(small) if "index.json" in small else ("", _docker(small))
    document = _json(config)
    told = document.get("config")
    if not isinstance(told, dict):
        raise ImageNotReadable("the image's configuration is not readable")
    image = Image(
        id=sha256_of(config),
        manifest=manifest,
        user=str(told.get("User") or ""),
        entrypoint=tuple(str(word) for word in told.get("Entrypoint") or ()),
    )
    _require_contract(image, document)
    return image


def docker_manifest(file: BinaryIO, limit: int) -> bytes | None:
    """The member `manifest.json` that an OCI layout lacks for being docker's form, too; None if it is there.

    Docker before 25 loads its own form only, and finds configuration and layers wherever this member says.
    """
    small = _small_members(file, limit)
    if "index.json" not in small or "manifest.json" in small:
        return None
    manifest = _json(_oci_manifest(small))
    described = (_field(manifest, "config"), *_field(manifest, "layers"))
    config, *layers = (f"blobs/{str(_field(one, 'digest')).replace(':', '/', 1)}" for one in described)
    return json.dumps([{"Config": config, "RepoTags": None, "Layers": layers}]).encode()


def _require_contract(image: Image, document: Mapping[str, Any]) -> None:
    if (document.get("os"), document.get("architecture")) != PLATFORM:
        raise ImageNotAllowed("the image is not for linux/amd64")
    name = image.user.split(":", 1)[0].strip().lower()
    if name in ROOTS or (name.isdecimal() and int(name) == 0):
        raise ImageNotAllowed("the image runs as root: it must name a USER")
    if not image.entrypoint:
        raise ImageNotAllowed("the image has no ENTRYPOINT")


def _small_members(file: BinaryIO, limit: int) -> dict[str, bytes]:
    """The members that may be JSON, by name; `file` is read once, as a stream."""
    found: dict[str, bytes] = {}
    kept = 0
    try:
        with tarfile.open(fileobj=file, mode="r|*") as archive:
            for number, member in enumerate(archive):
                if number >= MEMBERS or member.offset_data + member.size > limit:
                    raise ImageNotReadable("the archive has too many members, or unpacks to too many bytes")
                if not member.isfile() or member.size > SMALL or not (content := archive.extractfile(member)):
                    continue
                kept += member.size
                if kept > KEPT:
                    raise ImageNotReadable("the archive has too many small members")
                found[member.name.removeprefix("./")] = content.read()
    except (tarfile.TarError, zlib.error, EOFError, OSError):
        raise ImageNotReadable("the archive is not a tar file, or ends too early") from None
    return found


def _docker(small: Mapping[str, bytes]) -> bytes:
    listed = _json(_member(small, "manifest.json"))
    if not isinstance(listed, list) or len(listed) != 1:
        raise ImageNotReadable("the archive must hold exactly one image")
    return _member(small, str(_field(listed[0], "Config")))


def _oci(small: Mapping[str, bytes]) -> tuple[str, bytes]:
    """Digest of the manifest, and the configuration."""
    manifest = _oci_manifest(small)
    config = _blob(small, _field(_field(_json(manifest), "config"), "digest"))
    return sha256_of(manifest), config


def _oci_manifest(small: Mapping[str, bytes]) -> bytes:
    listed = _field(_json(small["index.json"]), "manifests")
    if not isinstance(listed, list) or len(listed) != 1:
        raise ImageNotReadable("the archive must hold exactly one image")
    return _blob(small, _field(listed[0], "digest"))


def _blob(small: Mapping[str, bytes], digest: Any) -> bytes:
    kind, _, value = str(digest).partition(":")
    data = _member(small, f"blobs/{kind}/{value}")
    if kind != "sha256" or sha256_of(data) != value:
        raise ImageNotReadable("a part of the image differs from its digest")
    return data


def _member(small: Mapping[str, bytes], name: str) -> bytes:
    try:
        return small[name]
    except KeyError:
        raise ImageNotReadable("the archive lacks its manifest or its configuration") from None


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise ImageNotReadable("a manifest in the archive is not JSON") from None


def _field(document: Any, name: str) -> Any:
    if not isinstance(document, dict) or name not in document:
        raise ImageNotReadable("a manifest in the archive lacks a field")
    return document[name]

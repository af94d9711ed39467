"""Archives of containers, made without a registry: docker's form and OCI's, the same bytes at every call."""

from __future__ import annotations

import functools
import gzip
import io
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from irp_kernel import ObjectRef, Volume, sha256_of
from irp_training.app.container_ports import Work
from irp_training.domain.container_errors import RuntimeMissing
from irp_training.domain.containers.container import Container, Ended
from irp_training.domain.containers.metaimage import read_mha, write_mha
from irp_training.domain.containers.sockets import canonical

SOURCE = Path(__file__).parent / "threshold_algorithm.c"
SOCKETS: dict[str, Any] = {
    "inputs": [
        {"slug": "cardiac-mri", "kind": "Image"},
        {"slug": "field-strength", "kind": "Float", "value": 1.5},
    ],
    "outputs": [
        {"slug": "heart-segmentation", "kind": "Segmentation"},
        {"slug": "interfaces", "kind": "Integer"},
        {"slug": "score", "kind": "Float"},
    ],
    "labels": {"1": "lv_blood_pool"},
    "limits": {"time_s": 20, "memory_mb": 64, "cpus": 1, "processes": 16, "scratch_mb": 8, "output_mb": 8},
}


def sockets(**changes: Any) -> str:
    """The declaration of the threshold algorithm."""
    return json.dumps(SOCKETS | changes)


def a_container(image: str) -> Container:
    """A container of the threshold algorithm's declaration, whose image is there already."""
    archive = ObjectRef(bucket="b", key="k", sha256="0" * 64, size=1, media_type="application/x-tar")
    return Container(
        name="x",
        version=1,
        digest="",
        image=image,
        archive=archive,
        sockets=canonical(sockets()),
        actor="",
        created_at="",
    )


@functools.cache
def threshold_binary() -> bytes:
    """The algorithm as a static program."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "algorithm"
        subprocess.run(["gcc", "-static", "-Os", "-s", "-o", program, SOURCE], check=True)
        return program.read_bytes()


def an_archive(
    *, oci: bool = True, program: bytes = b"a program", how: str = "", user: str = "1000:1000", **config: Any
) -> bytes:
    """An image with one file in it."""
    layer = _tar({"algorithm": program}, mode=0o755)
    told = {"User": user, "Entrypoint": ["/algorithm", *filter(None, [how])]}
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": told,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256_of(layer)}"]},
        **config,
    }
    content = json.dumps(document).encode()
    return _oci(content, layer) if oci else _docker(content, layer)


def some_weights(**more: str) -> bytes:
    """What a container finds in /opt/ml/model; `more`: links, by name."""
    archive = _tar({"net/weights.bin": b"weights"})
    if more:
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            for name, target in more.items():
                info = tarfile.TarInfo(name)
                info.type, info.linkname = tarfile.SYMTYPE, target
                tar.addfile(info)
        archive = data.getvalue()
    return gzip.compress(archive)


def manifest_digest(archive: bytes) -> str:
    """Of an OCI archive: what a registry would call it."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        index = tar.extractfile("index.json")
        assert index is not None
        return str(json.load(index)["manifests"][0]["digest"])


def _oci(config: bytes, layer: bytes) -> bytes:
    kind = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.manifest.v1+json",
        "config": _described(config, f"{kind}.config.v1+json"),
        "layers": [_described(layer, f"{kind}.layer.v1.tar")],
    }
    written = json.dumps(manifest).encode()
    index = {"schemaVersion": 2, "manifests": [_described(written, f"{kind}.manifest.v1+json")]}
    blobs = {f"blobs/sha256/{sha256_of(blob)}": blob for blob in (written, config, layer)}
    return _tar({"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": json.dumps(index).encode(), **blobs})


def _docker(config: bytes, layer: bytes) -> bytes:
    names = f"{sha256_of(config)}.json", f"{sha256_of(layer)}.tar"
    manifest = [{"Config": names[0], "RepoTags": None, "Layers": [names[1]]}]
    return _tar({"manifest.json": json.dumps(manifest).encode(), names[0]: config, names[1]: layer})


def _described(blob: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{sha256_of(blob)}", "size": len(blob)}


def _tar(files: dict[str, bytes], mode: int = 0o644) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


class ThresholdRuntime:
    """The threshold algorithm without a container: the same contract, for machines that have no runtime.

    `trouble` holds what the next runs do instead, first come first served; None = behave.
    """

    def __init__(self) -> None:
        self.trouble: list[Exception | dict[str, Any] | None] = []
        self.ran: list[Work] = []

    async def describe(self) -> str:
        if self.trouble and isinstance(self.trouble[0], RuntimeMissing):
            raise self.trouble.pop(0)  # type: ignore[misc]
        return "none 1.0"

    async def run(self, work: Work) -> Ended:
        self.ran.append(work)
        trouble = self.trouble.pop(0) if self.trouble else None
        if isinstance(trouble, Exception):
            raise trouble
        said: dict[str, Any] = {"exit_code": 0, "seconds": 0.25, "said": "done", "runtime": "none 1.0"}
        return Ended(**{**said, "outputs": threshold(work.inputs), **(trouble or {})})


def threshold(inputs: dict[str, bytes], above: float = 200.0) -> dict[str, bytes]:
    """What the algorithm leaves in /output."""
    (name,) = [name for name in inputs if name.endswith(".mha")]
    volume = read_mha(inputs[name])
    mask = Volume(geometry=volume.geometry, array=(volume.array > above).astype(np.uint8))
    return {
        "images/heart-segmentation/output.mha": write_mha(mask),
        "interfaces.json": b"1",
        "score.json": b"NaN",
    }

"""Bundle archives: read without executing or unpickling anything but tensors; written the same for the same content.

Source: MONAI bundle specification (docs/source/mb_specification.rst).
"""

from __future__ import annotations

import io
import json
import pickle
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import torch
from irp_kernel import sha256_of
from torch import Tensor

from irp_bundle.bundle import Bundle
from irp_bundle.errors import BundleNotSafe, BundleNotValid, BundleTooLarge

METADATA, INFERENCE = "configs/metadata.json", "configs/inference.json"
SEGMENT, LOCATE = "models/model.pt", "models/locate.pt"
CARD, LICENCE = "docs/README.md", "docs/license.txt"
NEEDED_METADATA = ("version", "monai_version", "pytorch_version", "numpy_version", "network_data_format")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a bundle may be; sizes in bytes."""

    archive: int = 512 << 20
    inflated: int = 2 << 30
    entries: int = 256
    text: int = 4 << 20


def read_bundle(data: bytes, limits: Limits | None = None) -> Bundle:
    """Read a bundle.

    Raises:
        BundleTooLarge: beyond a limit.
        BundleNotSafe: links, escaping paths, pickled objects, expressions where values are needed.
        BundleNotValid: not a bundle.
    """
    limits = limits or Limits()
    if len(data) > limits.archive:
        raise BundleTooLarge(f"at most {limits.archive} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            root = _root(archive, limits)
            files = {name: _read(archive, f"{root}/{name}", limits) for name in _wanted(archive, root)}
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, RuntimeError):
        raise BundleNotValid("the archive cannot be read") from None
    for name in (METADATA, INFERENCE, SEGMENT):
        if name not in files:
            raise BundleNotValid(f"{name} is missing")
    metadata = _json(files[METADATA], METADATA)
    missing = [key for key in NEEDED_METADATA if key not in metadata]
    if missing:
        raise BundleNotValid(f"metadata.json lacks {', '.join(missing)}")
    bundle = Bundle(
        name=root,
        digest=sha256_of(data),
        metadata=metadata,
        config=_json(files[INFERENCE], INFERENCE),
        segment=_weights(files[SEGMENT]),
        locate=_weights(files[LOCATE]) if LOCATE in files else None,
        card=files.get(CARD, b"").decode("utf-8", "replace"),
        licence=files.get(LICENCE, b"").decode("utf-8", "replace"),
    )
    _ = bundle.structures
    return bundle


def write_bundle(
    name: str,
    *,
    metadata: Mapping[str, Any],
    config: Mapping[str, Any],
    segment: Mapping[str, Tensor],
    locate: Mapping[str, Tensor] | None,
    card: str,
    licence: str,
) -> bytes:
    """Bundle bytes; weights are stored as float16."""
    files = {
        METADATA: _dump(metadata),
        INFERENCE: _dump(config),
        SEGMENT: _pack(segment),
        CARD: card.encode(),
        LICENCE: licence.encode(),
    }
    if locate is not None:
        files[LOCATE] = _pack(locate)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(f"{name}/{path}", EPOCH), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _root(archive: zipfile.ZipFile, limits: Limits) -> str:
    """The one folder that everything lies in; every entry is checked before one is read."""
    entries = archive.infolist()
    if len(entries) > limits.entries or sum(entry.file_size for entry in entries) > limits.inflated:
        raise BundleTooLarge(f"at most {limits.entries} files of {limits.inflated} bytes together")
    roots = set()
    for entry in entries:
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or not path.parts:
            raise BundleNotSafe("a path leaves the bundle")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise BundleNotSafe("the bundle holds a link")
        roots.add(path.parts[0])
    if len(roots) != 1:
        raise BundleNotValid("the archive must unpack to one folder")
    return roots.pop()


def _wanted(archive: zipfile.ZipFile, root: str) -> list[str]:
    names = set(archive.namelist())
    return [name for name in (METADATA, INFERENCE, SEGMENT, LOCATE, CARD, LICENCE) if f"{root}/{name}" in names]


def _read(archive: zipfile.ZipFile, name: str, limits: Limits) -> bytes:
    allowed = limits.inflated if name.endswith(".pt") else limits.text
    with archive.open(name) as file:
        content = file.read(allowed + 1)  # the directory's size may lie
    if len(content) > allowed:
        raise BundleTooLarge(f"{PurePosixPath(name).name} has more than {allowed} bytes")
    return content


def _json(content: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise BundleNotValid(f"{name} is not JSON") from None
    if not isinstance(found, dict):
        raise BundleNotValid(f"{name} is not an object")
    return found


def _weights(content: bytes) -> dict[str, Tensor]:
    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError, AttributeError, TypeError):
        raise BundleNotSafe("the weights hold something other than tensors") from None
    if isinstance(found, dict) and isinstance(found.get("model"), dict):
        found = found["model"]  # as MONAI's CheckpointSaver writes it
    if not isinstance(found, dict) or not all(isinstance(t, Tensor) for t in found.values()):
        raise BundleNotValid("the weights are no state dict")
    if any(t.is_floating_point() and not bool(torch.isfinite(t).all()) for t in found.values()):
        raise BundleNotValid("the weights hold values that are not finite")
    return found


def _pack(weights: Mapping[str, Tensor]) -> bytes:
    out = io.BytesIO()
    halved = {name: t.detach().cpu().half() if t.is_floating_point() else t.cpu() for name, t in weights.items()}
    torch.save(halved, out)
    return out.getvalue()


def _dump(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"

"""A container's sockets: what it reads from /input and writes to /output, and what its labels mean.

Taken are containers with one image in, one segmentation out, and JSON values beside them; other kinds (files, heat
maps, several images) are refused when the container is pushed, not when it runs.

Source: Grand Challenge component interfaces ("sockets"): title, slug, kind, super_kind, relative_path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from irp_kernel.mask import VALUE_OF

from irp_training.domain.container_errors import SocketsNotValid
from irp_training.domain.containers.limits import Limits, read_limits

VALUE_KINDS = ("Anything", "Bool", "Float", "Integer", "String")  # JSON
Frames = Literal["each", "together"]
DOCUMENT_LIMIT = 64 << 10  # characters
SOCKETS_LIMIT = 16  # of each direction
JSON_DEPTH = 32  # of a value, and of the declaration
RESERVED = "inputs.json"
_LABEL = re.compile(r"[0-9]{1,3}")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+){0,15}")
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(/[A-Za-z0-9][A-Za-z0-9._-]{0,63}){0,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """One input or output.

    Attributes:
        slug: its name.
        kind: "Image", "Segmentation", or one of VALUE_KINDS.
        relative_path: below /input or /output; of an image its directory.
        value: what an input value always is.
    """

    slug: str
    kind: str
    relative_path: str
    value: Any = None

    @property
    def is_image(self) -> bool:
        """True if it holds voxels."""
        return self.kind not in VALUE_KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """Everything that was declared.

    Attributes:
        image: the image that is segmented.
        values: further inputs, the same for every run.
        segmentation: the mask that comes out.
        results: further outputs.
        labels: value in the mask -> canonical structure.
        frames: "each" = one run per time frame, with a volume of three dimensions; "together" = one run with four.
        limits: what it may use.
    """

    image: Socket
    values: tuple[Socket, ...]
    segmentation: Socket
    results: tuple[Socket, ...]
    labels: Mapping[int, str]
    frames: Frames
    limits: Limits

    @property
    def structures(self) -> tuple[str, ...]:
        """Canonical names, by value."""
        return tuple(sorted(set(self.labels.values()), key=lambda name: VALUE_OF[name]))


def read_sockets(text: str) -> Sockets:
    """The declaration, checked.

    Raises:
        SocketsNotValid: with the place.
    """
    document = _document(text)
    inputs, outputs = _list(document, "inputs"), _list(document, "outputs")
    images, masks = [s for s in inputs if s.is_image], [s for s in outputs if s.is_image]
    if [s.kind for s in images] != ["Image"]:
        raise SocketsNotValid("inputs: exactly one socket of the kind Image; no other images and no files")
    if [s.kind for s in masks] != ["Segmentation"]:
        raise SocketsNotValid("outputs: exactly one socket of the kind Segmentation; no other images and no files")
    frames = document.get("frames", "each")
    if frames not in get_args(Frames):
        raise SocketsNotValid('frames: "each" or "together"')
    return Sockets(
        image=images[0],
        values=tuple(s for s in inputs if not s.is_image),
        segmentation=masks[0],
        results=tuple(s for s in outputs if not s.is_image),
        labels=_labels(document.get("labels")),
        frames=cast(Frames, frames),
        limits=read_limits(document.get("limits") or {}),
    )


def canonical(text: str) -> str:
    """The same declaration, always written alike."""
    return json.dumps(_document(text), sort_keys=True, separators=(",", ":"))


def depth(value: Any) -> int:
    """Levels of lists and objects; json.loads has bounded them by Python's own stack already."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def _document(text: str) -> dict[str, Any]:
    if len(text) > DOCUMENT_LIMIT:
        raise SocketsNotValid(f"at most {DOCUMENT_LIMIT} characters")
    try:
        document = json.loads(text)
        nested = depth(document)
    except (ValueError, RecursionError):
        raise SocketsNotValid("the declaration is not JSON") from None
    if nested > JSON_DEPTH:
        raise SocketsNotValid(f"nested deeper than {JSON_DEPTH}")
    if not isinstance(document, dict):
        raise SocketsNotValid("the declaration is not an object")
    if unknown := sorted(set(document) - {"inputs", "outputs", "labels", "frames", "limits"}):
        raise SocketsNotValid(f"{len(unknown)} unknown keys; known are inputs, outputs, labels, frames, limits")
    return document


def _list(document: Mapping[str, Any], name: str) -> tuple[Socket, ...]:
    listed = document.get(name)
    if not isinstance(listed, list) or not 1 <= len(listed) <= SOCKETS_LIMIT:
        raise SocketsNotValid(f"{name}: a list of 1 to {SOCKETS_LIMIT} sockets")
    found = tuple(_socket(row, f"{name}[{place}]") for place, row in enumerate(listed))
    for what in ("slug", "relative_path"):
        if len({getattr(s, what) for s in found}) != len(found):
            raise SocketsNotValid(f"{name}: two sockets have the same {what}")
    return found


def _socket(row: Any, place: str) -> Socket:
    if not isinstance(row, dict) or set(row) - {"slug", "kind", "relative_path", "value"}:
        raise SocketsNotValid(f"{place}: an object with slug, kind, and perhaps relative_path and value")
    slug, kind = row.get("slug"), row.get("kind")
    if not isinstance(slug, str) or not _SLUG.fullmatch(slug):
        raise SocketsNotValid(f"{place}.slug: lower-case words joined by hyphens")
    if kind not in (*VALUE_KINDS, "Image", "Segmentation"):
        raise SocketsNotValid(f"{place}.kind: Image, Segmentation, {', '.join(VALUE_KINDS)}")
    path = row.get("relative_path") or (f"{slug}.json" if kind in VALUE_KINDS else f"images/{slug}")
    if not isinstance(path, str) or not _PATH.fullmatch(path) or path == RESERVED:
        raise SocketsNotValid(f"{place}.relative_path: a plain path below /input or /output")
    return Socket(slug=slug, kind=kind, relative_path=path, value=row.get("value"))


def _labels(table: Any) -> dict[int, str]:
    if not isinstance(table, dict) or not table:
        raise SocketsNotValid('labels: what the values of the mask mean, e.g. {"1": "lv_blood_pool"}')
    found: dict[int, str] = {}
    for value, name in table.items():
        if not _LABEL.fullmatch(value) or not 1 <= int(value) <= 255:
            raise SocketsNotValid("labels: values are whole numbers from 1 to 255")
        if not isinstance(name, str) or name not in VALUE_OF:
            raise SocketsNotValid(f"labels: structures are {', '.join(VALUE_OF)}")
        found[int(value)] = name
    return found

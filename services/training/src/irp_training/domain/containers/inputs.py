"""What a container finds in /input: `inputs.json`, the image, and JSON values; as files by relative path.

Names and identifiers are made up from the content's hash: nothing of a patient, and no UID, reaches a container.

Source: Grand Challenge algorithm contract, `inputs.json`: a list of socket values with their interfaces.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator
from typing import Any

from irp_kernel import Geometry, Volume, sha256_of

from irp_training.domain.containers.metaimage import write_mha
from irp_training.domain.containers.sockets import RESERVED, Socket, Sockets

Files = dict[str, bytes]  # relative path -> content
NAMESPACE = uuid.UUID("6d7b0f2e-9a53-5f0c-8a7b-3f4f3c9f6d11")  # of identifiers that are made up here


def pieces(volume: Volume, sockets: Sockets) -> Iterator[Volume]:
    """What the container is given, run after run: each frame, or all of them together."""
    if sockets.frames == "together" or volume.frames == 1:
        yield volume
        return
    geometry = volume.geometry
    still = Geometry(shape=geometry.shape, affine=geometry.affine)
    for frame in range(volume.frames):
        yield Volume(geometry=still, array=volume.array[frame : frame + 1])


def input_files(volume: Volume, sockets: Sockets) -> Files:
    """Everything below /input for one run."""
    image = write_mha(volume)
    name = f"{_made_up(sha256_of(image))}.mha"
    files = {f"{sockets.image.relative_path}/{name}": image}
    files |= {socket.relative_path: to_json(socket.value) for socket in sockets.values}
    listed = [_listed(sockets.image, 1, image={"pk": name.removesuffix(".mha"), "name": name})]
    listed += [_listed(s, place, value=s.value) for place, s in enumerate(sockets.values, start=2)]
    return files | {RESERVED: to_json(listed)}


def to_json(value: Any) -> bytes:
    """JSON with null where a number is not finite."""
    return json.dumps(finite(value), indent=1, allow_nan=False).encode()


def finite(value: Any) -> Any:
    """The same value, with None for NaN and infinity, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return value


def _listed(socket: Socket, place: int, *, value: Any = None, image: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "interface": {
            "title": socket.slug.replace("-", " ").capitalize(),
            "description": "",
            "slug": socket.slug,
            "kind": socket.kind,
            "pk": place,
            "default_value": None,
            "super_kind": "Image" if socket.is_image else "Value",
            "relative_path": socket.relative_path,
            "overlay_segments": [],
            "look_up_table": None,
        },
        "value": value,
        "file": None,
        "image": image,
        "pk": place,
    }


def _made_up(text: str) -> str:
    return str(uuid.uuid5(NAMESPACE, text))

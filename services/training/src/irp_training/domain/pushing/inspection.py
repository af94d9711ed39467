"""A bundle from outside, looked through and tried out: a computation of the sandbox. Bundle in, report out. No I/O.

A report is JSON that a reader may trust as far as the sandbox: it names what was checked, in the order in which it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
from irp_bundle import Bundle, Stage, read_bundle
from irp_bundle.archive import DEFAULT_LIMITS, unpack
from irp_bundle.networks import ROLES
from irp_bundle.scripts import torch_network
from irp_bundle.unread import unread_files, unread_keys
from irp_kernel import sha256_of

from irp_training.domain.pushing.behaviour import Behaviour, observe
from irp_training.domain.pushing.exported import OnnxNetwork
from irp_training.domain.pushing.pushed import About, about

REPORT_VERSION = 1
FILES_LISTED = 64
KEYS_LISTED = 32
TEXT = 120  # characters of a name in the bundle

State = Literal["passed", "noted", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of a report.

    Attributes:
        name: what was looked at.
        state: "noted" = it may be so, and somebody should know.
        says: what was found; numbers and names of the format only.
    """

    name: str
    state: State
    says: str


Say = Callable[[Check], None]


def inspect(data: bytes, say: Say) -> dict[str, Any]:
    """Look through a bundle and try its networks out.

    Args:
        data: the archive.
        say: told of each check that passed, as soon as it has.

    Returns:
        the report, but for its checks and for where it was made.

    Raises:
        BundleBroken, BundleUnsafe, BundleTooLarge, NetworkNotAllowed, PipelineNotValid, ChannelsNotKnown: of the
            archive and its documents.
        NetworkMisbehaves: see behaviour.
    """
    files = unpack(data, DEFAULT_LIMITS)
    _passed(say, "archive", f"{len(files)} files, {_bytes(sum(map(len, files.values())))}; none leaves its folder")
    bundle = read_bundle(data)
    _passed(say, "documents", f"segments {', '.join(bundle.structures)}")
    if bundle.derived:
        said = "; ".join(bundle.derived)
        say(Check(name="pipeline", state="noted", says=f"made from MONAI's preprocessing and inferer: {said}"))
    else:
        _passed(say, "pipeline", f"{bundle.spec.dimension}, irp_pipeline version {bundle.spec.version}")
    found = about(bundle)
    _licence(say, found)
    networks = {stage: _observe(bundle, stage, say) for stage in bundle.stages}
    unread = unread_files(files), unread_keys(bundle.config, derived=bool(bundle.derived))
    if any(unread):
        says = f"{len(unread[0])} files and {len(unread[1])} keys of configs/inference.json are for others"
        say(Check(name="not used", state="noted", says=says))
    return {
        "version": REPORT_VERSION,
        "about": asdict(found),
        "archive": _archive(data, files),
        "pipeline": bundle.spec.to_json(),
        "derived": list(bundle.derived),
        "networks": networks,
        "not_used": {"files": _names(unread[0], FILES_LISTED), "keys": _names(unread[1], KEYS_LISTED)},
    }


def _observe(bundle: Bundle, stage: Stage, say: Say) -> dict[str, Any]:
    torch.set_num_threads(1)
    name, inputs, channels = f"network {ROLES[stage]}", bundle.input_shape(stage), bundle.logit_channels(stage)
    network = torch_network(bundle, stage)
    if network is not None:
        seen, kind = observe(network, inputs, channels), "weights" if bundle.learns(stage) else "torchscript"
    else:
        try:
            onnx = OnnxNetwork(bundle, stage)
        except ImportError:  # OpenVINO is not installed
            says = "an ONNX file: looked through, and tried where it is loaded"
            say(Check(name=name, state="noted", says=says))
            return {"kind": "onnx", "input": list(inputs), "output": [channels]}
        seen, kind = replace(observe(onnx, inputs, channels), parameters=onnx.numbers), "onnx"
    _passed(say, name, _in_words(seen))
    return {"kind": kind, **asdict(seen)}


def _in_words(seen: Behaviour) -> str:
    sizes = f"{_size(seen.inputs)} in, {_size(seen.answers)} out"
    speed = f"{seen.ms_per_input['1']:.1f} ms per input on one thread"
    return f"{sizes}; {seen.parameters:,} parameters; finite, repeatable, each input by itself; {speed}"


def _licence(say: Say, found: About) -> None:
    if found.licence:
        _passed(say, "licence", found.licence[:120])
    else:
        say(Check(name="licence", state="noted", says="docs/license.txt is missing: nobody knows what is allowed"))


def _archive(data: bytes, files: Mapping[str, bytes]) -> dict[str, Any]:
    listed = [
        {"path": path[:TEXT], "bytes": len(content), "sha256": sha256_of(content)}
        for path, content in sorted(files.items())
    ]
    return {"digest": sha256_of(data), "bytes": len(data), "files": listed[:FILES_LISTED], "count": len(listed)}


def _names(names: list[str], most: int) -> list[str]:
    return [name[:TEXT] for name in names[:most]]


def _passed(say: Say, name: str, says: str) -> None:
    say(Check(name=name, state="passed", says=says))


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"

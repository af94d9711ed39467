"""Networks as other tools export them: ONNX written field by field, TorchScript, and bundles that carry them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

import torch
from irp_bundle import write_bundle

STRUCTURES = ["lv_blood_pool", "lv_myocardium"]
SIZE = 32


def a_convolution(seed: int = 3, channels: int = 3) -> torch.nn.Module:
    """The smallest network there is: (N, 1, rows, columns) -> (N, channels, rows, columns)."""
    torch.manual_seed(seed)
    return torch.nn.Conv2d(1, channels, 3, padding=1).eval()


def script_of(network: torch.nn.Module, size: int = SIZE) -> bytes:
    """TorchScript, by tracing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return saved(torch.jit.trace(network, torch.zeros(1, 1, size, size)))


def saved(script: torch.jit.ScriptModule) -> bytes:
    """The bytes of a TorchScript file."""
    buffer = io.BytesIO()
    torch.jit.save(script, buffer)
    return buffer.getvalue()


def number(field: int, value: int) -> bytes:
    """A protobuf field that holds a number."""
    return _varint(field << 3) + _varint(value)


def message(field: int, content: bytes | str) -> bytes:
    """A protobuf field that holds bytes."""
    data = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def tensor(name: str, values: torch.Tensor, more: bytes = b"") -> bytes:
    """A TensorProto of float32."""
    dimensions = b"".join(number(1, size) for size in values.shape)
    return dimensions + number(2, 1) + message(8, name) + message(9, values.detach().numpy().tobytes()) + more


def value_info(name: str, sizes: Sequence[int], kind: int = 1) -> bytes:
    """A ValueInfoProto; size 0 = any."""
    shape = b"".join(message(1, number(1, size) if size else message(2, "any")) for size in sizes)
    return message(1, name) + message(2, message(1, number(1, kind) + message(2, shape)))


def node(domain: str = "") -> bytes:
    """A NodeProto: the convolution."""
    pads = message(1, "pads") + b"".join(number(8, 1) for _ in range(4)) + number(20, 7)
    names = message(1, "image") + message(1, "w") + message(1, "b") + message(2, "logits")
    return names + message(4, "Conv") + message(5, pads) + (message(7, domain) if domain else b"")


def onnx_of(
    network: torch.nn.Module, *, rows: int = 0, size: int = SIZE, domain: str = "", tensor_more: bytes = b""
) -> bytes:
    """A ModelProto of `a_convolution`; rows = 0: any number of inputs."""
    weight, bias = network.state_dict()["weight"], network.state_dict()["bias"]
    graph = message(1, node(domain)) + message(2, "heart")
    graph += message(5, tensor("w", weight, tensor_more)) + message(5, tensor("b", bias))
    graph += message(11, value_info("image", [rows, 1, size, size]))
    graph += message(12, value_info("logits", [rows, len(bias), size, size]))
    return number(1, 8) + message(7, graph) + message(8, message(1, "") + number(2, 17))


def exported_bundle(exports: dict[str, bytes], size: int = SIZE) -> bytes:
    """A bundle without weights."""
    config = {"irp_pipeline": {"segment": {"size": size}}}
    return write_bundle("heart", None, None, config, {"structures": STRUCTURES}, "A phantom's.", "MIT", exports=exports)

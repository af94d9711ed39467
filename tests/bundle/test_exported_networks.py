"""What you learn here: a bundle may carry its network as ONNX or TorchScript; neither is opened where it is read."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch
from irp_bundle import (
    BundleBroken,
    BundleTooLarge,
    BundleUnsafe,
    ChannelsNotKnown,
    Limits,
    NetworkNotAllowed,
    TorchEngine,
    WeightsMissing,
    build_network,
    read_bundle,
)
from irp_bundle.archive import DEFAULT_LIMITS
from irp_bundle.onnx_file import MAX_FIELDS, check_onnx
from torch import Tensor

from .builders import NET
from .exported import a_convolution, exported_bundle, message, number, onnx_of, saved, script_of

ONNX, SCRIPT = "models/model.onnx", "models/model.ts"


def test_a_bundle_of_an_onnx_file_alone_is_a_bundle() -> None:
    bundle = read_bundle(exported_bundle({ONNX: onnx_of(a_convolution())}))
    assert bundle.stages == ("segment",)
    assert bundle.structures == ("lv_blood_pool", "lv_myocardium")
    assert (bundle.input_shape("segment"), bundle.logit_channels("segment")) == ((1, 32, 32), 3)
    assert bundle.weight_bytes > 0
    assert not bundle.learns("segment")
    with pytest.raises(WeightsMissing):
        TorchEngine(bundle)


@pytest.mark.parametrize("how", [torch.jit.trace, torch.jit.script])
def test_a_torchscript_file_is_packed_anew_and_answers_the_same(how: object) -> None:
    network = build_network({**NET, "num_res_units": 1}).eval()
    image = torch.randn(2, 1, 32, 32)
    script = torch.jit.trace(network, image) if how is torch.jit.trace else torch.jit.script(network)
    found = read_bundle(exported_bundle({SCRIPT: saved(script)})).exports["segment"]["torchscript"]
    assert torch.equal(torch.jit.load(io.BytesIO(found))(image), network(image))
    with zipfile.ZipFile(io.BytesIO(found)) as archive:
        assert not [name for name in archive.namelist() if "traced_inputs" in name or "debug" in name]


class WritesFile(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.from_file("/tmp/trace", True, 16)


class RunsBeside(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.jit.wait(torch.jit.fork(torch.sin, x))


class Unlisted(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.bernoulli(x)


@pytest.mark.parametrize(
    ("network", "error"),
    [
        (WritesFile(), BundleUnsafe),
        (RunsBeside(), NetworkNotAllowed),
        (Unlisted(), NetworkNotAllowed),
    ],
)
def test_a_torchscript_file_calls_what_image_networks_need_and_nothing_else(
    network: torch.nn.Module, error: type[Exception]
) -> None:
    with pytest.raises(error):
        exported_bundle({SCRIPT: saved(torch.jit.script(network))})


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("x.save('f')", BundleUnsafe),
        ("f = x.save", BundleUnsafe),
        ("getattr(x, 'save')('f')", BundleUnsafe),
        ("f = torch", NetworkNotAllowed),
        ("f = ops.aten.save", BundleUnsafe),
        ("__torch__.torch.classes.dist.Store()", NetworkNotAllowed),
        ("print(x)", NetworkNotAllowed),
        ("this is no code", BundleBroken),
        ("f = " + "(" * 5000 + "x" + ")" * 5000, BundleBroken),
    ],
)
def test_code_that_was_changed_by_hand_is_refused(line: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        exported_bundle({SCRIPT: script_with(line)})


def script_with(line: str) -> bytes:
    """A TorchScript file whose code does one thing more."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(script_of(a_convolution()))) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith(".py"):
                content = content.replace(b"    return ", f"    {line}\n    return ".encode())
            target.writestr(name, content)
    return out.getvalue()


def test_an_object_of_python_is_not_unpickled(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(script_of(a_convolution()))) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            target.writestr(name, b"cos\nsystem\n." if name.endswith("/data.pkl") else source.read(name))
    with pytest.raises(BundleUnsafe):
        exported_bundle({SCRIPT: out.getvalue()})


@pytest.mark.parametrize("data", [b"", b"no zip", b"\x0a\xff\xff\xff\xff\x7f", b"\xff" * 40, number(1, 8)])
def test_what_is_no_network_is_refused(data: bytes) -> None:
    for path in (ONNX, SCRIPT):
        with pytest.raises(BundleBroken):
            exported_bundle({path: data})


def test_an_onnx_file_holds_all_its_numbers_itself() -> None:
    for elsewhere in (number(14, 1), message(13, message(1, "location") + message(2, "/etc/passwd"))):
        with pytest.raises(BundleUnsafe):
            exported_bundle({ONNX: onnx_of(a_convolution(), tensor_more=elsewhere)})


def test_an_onnx_file_of_very_many_parts_is_not_read_to_its_end() -> None:
    parts = number(1, 1) * (MAX_FIELDS + 1)
    with pytest.raises(BundleTooLarge):
        exported_bundle({ONNX: message(7, message(1, message(5, parts)))})
    with pytest.raises(BundleBroken):
        exported_bundle({ONNX: message(7, message(5, message(1, b"\x01" * 2000)))})


def test_an_onnx_file_of_very_many_dimensions_is_not_taken() -> None:
    def value(dimensions: int) -> bytes:
        shape = message(1, b"") * dimensions
        return message(1, b"x") + message(2, message(1, number(1, 1) + message(2, shape)))

    for inputs, outputs in ((9, 4), (4, 100_000)):
        graph = message(11, value(inputs)) + message(12, value(outputs))
        with pytest.raises(BundleBroken, match="8 dimensions"):
            check_onnx(message(7, graph), DEFAULT_LIMITS)


def test_an_onnx_file_uses_the_operators_of_onnx() -> None:
    with pytest.raises(NetworkNotAllowed):
        exported_bundle({ONNX: onnx_of(a_convolution(), domain="com.example")})


def test_an_onnx_file_says_the_channels_and_the_size_that_the_bundle_says() -> None:
    with pytest.raises(ChannelsNotKnown):
        exported_bundle({ONNX: onnx_of(a_convolution(channels=4))})
    with pytest.raises(BundleBroken):
        exported_bundle({ONNX: onnx_of(a_convolution(), size=48)})


def test_an_exported_network_is_bounded_in_numbers() -> None:
    for exports in ({ONNX: onnx_of(a_convolution())}, {SCRIPT: script_of(a_convolution())}):
        with pytest.raises(BundleTooLarge):
            read_bundle(exported_bundle(exports), Limits(parameters=8))

"""What you learn here: a bundle is read as if an enemy had packed it; nothing of it is ever executed."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from irp_bundle import (
    BundleBroken,
    BundleTooLarge,
    BundleUnsafe,
    ChannelsNotKnown,
    Limits,
    NetworkNotAllowed,
    PipelineNotValid,
    TorchEngine,
    read_bundle,
)

from .builders import NET, a_bundle

Change = Callable[[zipfile.ZipFile], None]


def repacked(change: Change, *, without: str = "") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(a_bundle())) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            if entry.filename != without:
                new.writestr(entry, old.read(entry))
        change(new)
    return out.getvalue()


def a_link(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("heart/link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(entry, "/etc/passwd")


def a_bomb(archive: zipfile.ZipFile) -> None:
    archive.writestr("heart/docs/more.txt", b"\0" * (8 << 20), zipfile.ZIP_DEFLATED)


def document(path: str, change: Callable[[dict], object]) -> bytes:
    """The bundle with one of its JSON documents changed."""
    with zipfile.ZipFile(io.BytesIO(a_bundle())) as archive:
        found = json.loads(archive.read(path))
    change(found)
    return repacked(lambda a: a.writestr(path, json.dumps(found)), without=path)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda a: a.writestr("heart/../../escape", "x"), BundleUnsafe),
        (lambda a: a.writestr("/absolute", "x"), BundleUnsafe),
        (lambda a: a.writestr("heart\\windows", "x"), BundleUnsafe),
        (a_link, BundleUnsafe),
        (a_bomb, BundleTooLarge),
        (lambda a: a.writestr("other/file", "x"), BundleBroken),
    ],
)
def test_a_hostile_archive_is_refused(change: Change, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_bundle(repacked(change))


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06", b"not a zip" * 99, a_bundle()[:-200]])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(BundleBroken):
        read_bundle(data)


def test_limits_are_bounds_in_bytes() -> None:
    with pytest.raises(BundleTooLarge):
        read_bundle(a_bundle(), Limits(archive_bytes=100))
    with pytest.raises(BundleTooLarge):
        read_bundle(a_bundle(), Limits(parameters=10))


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    trace = tmp_path / "executed"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (open, (str(trace), "w"))  # type: ignore[return-value]

    weights = io.BytesIO()
    torch.save({"x": Evil()}, weights)
    path = "heart/models/model.pt"
    with pytest.raises(BundleUnsafe):
        read_bundle(repacked(lambda a: a.writestr(path, weights.getvalue()), without=path))
    assert not trace.exists()


def test_a_network_that_is_not_on_the_list_is_not_built() -> None:
    with pytest.raises(NetworkNotAllowed):
        a_bundle(net={**NET, "_target_": "os.system"})


def test_an_expression_is_not_a_value() -> None:
    with pytest.raises(NetworkNotAllowed):
        a_bundle(net={**NET, "act": "$__import__('os').getcwd()"})


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(BundleBroken):
        a_bundle(net={**NET, "channels": [8, 16]})


def test_a_pipeline_with_an_unknown_key_or_a_wild_number_is_refused() -> None:
    with pytest.raises(PipelineNotValid):
        a_bundle(pipeline={"locate": {"surprise": 1}})
    with pytest.raises(PipelineNotValid):
        a_bundle(pipeline={"segment": {"size": 1 << 20}})


def test_channels_are_matched_by_name() -> None:
    def rename(metadata: dict) -> None:
        metadata["network_data_format"]["outputs"]["pred"]["channel_def"]["1"] = "a stomach"

    with pytest.raises(ChannelsNotKnown):
        read_bundle(document("heart/configs/metadata.json", rename))


def test_weights_rest_as_float16_and_work_as_float32() -> None:
    bundle = read_bundle(a_bundle())
    weights = bundle.weights["model"].values()
    assert all(tensor.dtype == torch.float16 for tensor in weights if tensor.is_floating_point())
    answer = TorchEngine(bundle)("segment", np.zeros((2, 1, 32, 32), np.float32))
    assert (answer.shape, answer.dtype) == ((2, 3, 32, 32), np.float32)


def test_the_same_content_is_the_same_archive() -> None:
    assert a_bundle() == a_bundle()

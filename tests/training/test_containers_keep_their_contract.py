"""What you learn here: what of a container's archive, declaration and output is believed, and what is not."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import json
import os
import re
import shutil
import stat
import tarfile
import tempfile
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import SimpleITK
from container_builders import SOCKETS, a_container, an_archive, manifest_digest, sockets, some_weights
from irp_chassis.testing.twins import InMemoryObjects
from irp_kernel import ObjectRef, Volume
from irp_training.adapters.container_files import (
    collect,
    lay_out,
    make_loadable,
    measure,
    require_space,
    unpack_weights,
)
from irp_training.adapters.container_runtime import IMAGES_KEPT, OciRuntime, find_runtime, run_words
from irp_training.adapters.scratch import Scratch
from irp_training.adapters.unpacked_weights import KEPT, UnpackedWeights
from irp_training.app.container_ports import Work
from irp_training.domain.container_errors import (
    ImageNotAllowed,
    ImageNotReadable,
    OutputGridDiffers,
    OutputLabelUnknown,
    OutputMissing,
    OutputNotReadable,
    OutputNotSafe,
    RuntimeRefused,
    SocketsNotValid,
    WeightsNotReadable,
)
from irp_training.domain.containers.archive import read_image
from irp_training.domain.containers.inputs import input_files, pieces
from irp_training.domain.containers.limits import Limits
from irp_training.domain.containers.metaimage import read_mha, write_mha
from irp_training.domain.containers.outputs import read_outputs
from irp_training.domain.containers.phantom import phantom
from irp_training.domain.containers.sockets import canonical, read_sockets
from irp_training.domain.containers.weights import weights_size

SMALL = 1 << 22  # bytes


def read(archive: bytes, limit: int = SMALL) -> Any:
    return read_image(io.BytesIO(archive), limit)


def test_both_forms_of_an_archive_name_the_same_image() -> None:
    oci, docker = an_archive(), an_archive(oci=False)
    assert read(oci).id == read(docker).id
    assert (read(oci).user, read(oci).entrypoint) == ("1000:1000", ("/algorithm",))
    assert f"sha256:{read(oci).manifest}" == manifest_digest(oci)
    assert read(docker).manifest == ""


@pytest.mark.parametrize("user", ["", "root", "0", "0:0", "ROOT", " 0 ", "00", "root:users"])
def test_nobody_runs_as_root(user: str) -> None:
    with pytest.raises(ImageNotAllowed):
        read(an_archive(user=user))


@pytest.mark.parametrize(
    "config",
    [
        {"architecture": "arm64"},
        {"os": "windows"},
        {"config": {"User": "1"}},
        {"config": {"User": "1", "Entrypoint": []}},
    ],
)
def test_an_image_for_another_machine_or_without_entrypoint_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ImageNotAllowed):
        read(an_archive(**config))


@pytest.mark.parametrize("oci", [True, False])
def test_what_is_no_archive_of_one_image_is_refused(oci: bool) -> None:
    whole = an_archive(oci=oci)
    for broken in (b"", b"no tar", whole[:700], whole.replace(b"amd64", b"amd65"), whole.replace(b"[{", b"[ ")):
        with pytest.raises((ImageNotReadable, ImageNotAllowed)):
            read(broken)
    with pytest.raises(ImageNotReadable):
        read(whole, limit=1000)


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("place", "document"),
    [
        ("labels", {"labels": {"1": "brain"}}),
        ("labels", {"labels": {"0": "scar"}}),
        ("labels", {"labels": {}}),
        ("labels", {"labels": {"1": ["scar"]}}),
        ("labels", {"labels": {"1": {"scar": 1}}}),
        ("labels", {"labels": {"1" * 5000: "scar"}}),
        ("labels", {"labels": {"²": "scar"}}),
        ("nested", {"inputs": [*SOCKETS["inputs"], {"slug": "x", "kind": "Anything", "value": nested(40)}]}),
        ("frames", {"frames": "some"}),
        ("limits.time_s", {"limits": {"time_s": 0}}),
        ("limits.memory_mb", {"limits": {"memory_mb": 10**9}}),
        ("limits", {"limits": {"gpus": 1}}),
        ("inputs", {"inputs": []}),
        ("inputs", {"inputs": [*SOCKETS["inputs"], {"slug": "second", "kind": "Image"}]}),
        ("inputs[0].kind", {"inputs": [{"slug": "x", "kind": "PDF file"}]}),
        ("inputs[0].slug", {"inputs": [{"slug": "../x", "kind": "Image"}]}),
        ("inputs[0].relative_path", {"inputs": [{"slug": "x", "kind": "Image", "relative_path": "../../etc"}]}),
        ("inputs[0].relative_path", {"inputs": [{"slug": "x", "kind": "Float", "relative_path": "inputs.json"}]}),
        ("outputs", {"outputs": [{"slug": "x", "kind": "Float"}]}),
        ("outputs", {"outputs": [SOCKETS["outputs"][0], SOCKETS["outputs"][0]]}),
        ("unknown", {"entrypoint": "sh"}),
    ],
)
def test_a_declaration_that_cannot_be_used_names_the_place(place: str, document: dict[str, Any]) -> None:
    with pytest.raises(SocketsNotValid, match=place.replace("[", r"\[")):
        read_sockets(sockets(**document))


def test_a_declaration_is_always_written_alike() -> None:
    assert canonical(sockets()) == canonical(json.dumps(json.loads(sockets()), indent=4))
    for broken in ("", "[]", "{" * 100_000, "x" * 100_000):
        with pytest.raises(SocketsNotValid):
            canonical(broken)


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", ["float32", "int16", "uint8", "float64"])
def test_images_lie_where_itk_says_they_lie(frames: int, compressed: bool, kind: str, tmp_path: Path) -> None:
    made = phantom(frames)
    ours = Volume(geometry=made.geometry, array=made.array.astype(kind))
    (tmp_path / "ours.mha").write_bytes(write_mha(ours))
    image = SimpleITK.ReadImage(tmp_path / "ours.mha")
    assert np.array_equal(SimpleITK.GetArrayFromImage(image).reshape(ours.array.shape), ours.array)
    index = (5, 7, 2, 0)[: image.GetDimension()]
    point = image.TransformIndexToPhysicalPoint(index)[:3]
    assert np.allclose(point, ours.geometry.to_patient(np.array([2.0, 7.0, 5.0])), atol=1e-9)
    SimpleITK.WriteImage(image, tmp_path / "theirs.mha", compressed)
    theirs = read_mha((tmp_path / "theirs.mha").read_bytes())
    assert ours.geometry.grid_distance_mm(theirs.geometry) < 1e-9
    assert np.array_equal(theirs.array, ours.array)


def test_inputs_json_says_what_grand_challenge_says() -> None:
    declared = read_sockets(sockets())
    files = input_files(phantom(), declared)
    image, value = json.loads(files.pop("inputs.json"))
    assert set(image) == set(value) == {"interface", "value", "file", "image", "pk"}
    assert set(image["interface"]) == {
        "title", "description", "slug", "kind", "pk", "default_value", "super_kind", "relative_path",
        "overlay_segments", "look_up_table",
    }  # fmt: skip
    assert (image["interface"]["slug"], image["interface"]["super_kind"]) == ("cardiac-mri", "Image")
    assert set(files) == {f"images/cardiac-mri/{image['image']['name']}", "field-strength.json"}
    assert image["image"]["name"] == f"{image['image']['pk']}.mha"
    assert (value["value"], value["image"], json.loads(files["field-strength.json"])) == (1.5, None, 1.5)
    assert input_files(phantom(), declared)["inputs.json"]  # the same again: names come from the content


def test_frames_are_given_one_by_one_or_together() -> None:
    assert [v.geometry.frames for v in pieces(phantom(2), read_sockets(sockets()))] == [1, 1]
    assert [v.geometry.frames for v in pieces(phantom(2), read_sockets(sockets(frames="together")))] == [2]


def an_output(**changes: Any) -> dict[str, bytes]:
    volume = phantom()
    mask = Volume(geometry=volume.geometry, array=(volume.array > 200).astype(np.uint8))
    files = {"images/heart-segmentation/a.mha": write_mha(mask), "interfaces.json": b"1", "score.json": b"NaN"}
    return {name: data for name, data in (files | changes).items() if data is not None}


def test_an_output_on_the_grid_becomes_labels_and_values() -> None:
    found = read_outputs(an_output(), read_sockets(sockets(labels={"1": "lv_myocardium"})), phantom().geometry)
    assert set(np.unique(found.labels)) == {0, 2}
    assert found.values == {"interfaces": 1, "score": None}


MASK = "images/heart-segmentation/a.mha"


def skewed(image: bytes) -> bytes:
    return re.sub(rb"TransformMatrix = .*", b"TransformMatrix = 1 0 0 -1 1 0 0 0 1", image)


def spaced(spacing: bytes) -> bytes:
    """The mask, saying that its voxels have other sides."""
    return re.sub(rb"ElementSpacing = .*", b"ElementSpacing = " + spacing, an_output()[MASK])


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        (OutputMissing, {MASK: None}),
        (OutputMissing, {"images/heart-segmentation/b.mha": b""}),
        (OutputMissing, {"score.json": None}),
        (OutputNotReadable, {MASK: b"not an image"}),
        (OutputNotReadable, {MASK: an_output()[MASK][:-1]}),
        (OutputNotReadable, {MASK: an_output()[MASK].replace(b"LOCAL", b"/etc/passwd")}),
        (OutputNotReadable, {MASK: an_output()[MASK].replace(b"72 64 3", b"9999999999 9999999999 3")}),
        (OutputNotReadable, {MASK: an_output()[MASK].replace(b"CompressedData = False", b"CompressedData = True")}),
        (OutputNotReadable, {MASK: spaced(b"1e-300 1 1")}),
        (OutputGridDiffers, {MASK: skewed(spaced(b"1e308 1e308 1"))}),  # its corners are infinity minus infinity
        (OutputGridDiffers, {MASK: an_output()[MASK].replace(b"72 64 3", b"64 72 3")}),
        (OutputGridDiffers, {MASK: an_output()[MASK].replace(b"Offset = -40.0", b"Offset = -40.2")}),
        (OutputLabelUnknown, {MASK: an_output()[MASK].replace(b"\x01", b"\x07")}),
        (OutputNotReadable, {"score.json": b'"high"'}),
        (OutputNotReadable, {"interfaces.json": b"true"}),
        (OutputNotReadable, {"score.json": b"[" * 100_000}),
        (OutputNotReadable, {"score.json": b"1" + b" " * (2 << 20)}),
    ],
)
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_an_output_that_is_not_as_declared_is_refused(error: type[Exception], changes: dict[str, Any]) -> None:
    with pytest.raises(error):
        read_outputs(an_output(**changes), read_sockets(sockets()), phantom().geometry)


def test_a_small_file_that_unpacks_to_a_large_one_is_refused_before_it_does() -> None:
    header, _, _ = an_output()[MASK].partition(b"ElementDataFile")
    large = header.replace(b"72 64 3", b"1024 1024 64").replace(b"CompressedData = False", b"CompressedData = True")
    bomb = large + b"ElementDataFile = LOCAL\n" + zlib.compress(bytes(64 << 20), 1)
    tracemalloc.start()
    with pytest.raises(OutputGridDiffers):
        read_outputs(an_output(**{MASK: bomb}), read_sockets(sockets()), phantom().geometry)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_only_plain_files_within_bounds_are_taken(tmp_path: Path) -> None:
    lay_out(tmp_path / "run", {"images/x/a.mha": b"voxels"}, ("images/y",))
    output = tmp_path / "run/output"
    assert stat.S_IMODE((output / "images/y").stat().st_mode) == 0o777
    (output / "images/y/a.mha").write_bytes(b"mask")
    (output / "empty").mkdir()
    assert collect(output, 100) == {"images/y/a.mha": b"mask"}
    with pytest.raises(OutputNotSafe):
        collect(output, 3)
    os.mkfifo(output / "pipe")
    with pytest.raises(OutputNotSafe):
        collect(output, 100)
    (output / "pipe").unlink()
    (output / "link").symlink_to(tmp_path / "run/input/images/x/a.mha")
    with pytest.raises(OutputNotSafe):
        collect(output, 100)
    (output / "link").unlink()
    (output / "/".join("deep" * 8)).mkdir(parents=True)
    with pytest.raises(OutputNotSafe):
        collect(output, 100)


def test_what_is_closed_to_the_room_is_not_taken_for_empty() -> None:
    with tempfile.TemporaryDirectory() as folder:  # every folder above it is open to others
        (closed := Path(folder) / "output/closed").mkdir(parents=True)
        (closed / "big").write_bytes(b"0" * 100)
        Path(folder).chmod(0o755)
        assert measure(Path(folder) / "output") == (2, 100 + closed.stat().st_size)
        for mode in (0o000, 0o444):
            closed.chmod(mode)
            with as_somebody_else():
                for look in (measure, lambda output: collect(output, 1000)):
                    with pytest.raises(OutputNotSafe):
                        look(Path(folder) / "output")


@contextlib.contextmanager
def as_somebody_else() -> Iterator[None]:
    """Root may read everything, and is nobody meanwhile."""
    if os.getuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(os.getuid())


def test_containers_do_not_fill_the_disk_with_files_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for free, full in ((2 << 30, False), (1 << 29, True)):
        usage = SimpleNamespace(total=1 << 40, free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda folder, usage=usage: usage)
        with pytest.raises(RuntimeRefused) if full else contextlib.nullcontext():
            require_space(Path("/"))


def test_an_oci_archive_is_made_loadable_by_older_dockers_too(tmp_path: Path) -> None:
    path = tmp_path / "archive.tar"
    for _ in range(2):  # the second time changes nothing
        path.write_bytes(an_archive() if not path.exists() else path.read_bytes())
        make_loadable(path, SMALL)
        with tarfile.open(path) as archive:
            (told,) = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
            assert archive.getnames().count("manifest.json") == 1
            assert all(archive.getmember(name).isfile() for name in (told["Config"], *told["Layers"]))
    assert read(path.read_bytes()).id == read(an_archive()).id
    packed = gzip.compress(an_archive())
    path.write_bytes(packed)
    make_loadable(path, SMALL)
    assert path.read_bytes() == packed


def test_weights_are_unpacked_as_a_whole_and_stay_inside(tmp_path: Path) -> None:
    archive, folder = tmp_path / "model.tar", tmp_path / "model"
    archive.write_bytes(some_weights())
    unpack_weights(archive, folder, limit=7)
    assert (folder / "net/weights.bin").read_bytes() == b"weights"
    assert weights_size(io.BytesIO(some_weights()), 7) == 7
    for broken in (
        b"no archive",
        some_weights()[:40],
        some_weights(link="/etc/passwd"),
        an_archive_named("../outside"),
        an_archive_named("/outside"),
        an_archive_named("deep/" * 20 + "x"),
    ):
        with pytest.raises(WeightsNotReadable):
            weights_size(io.BytesIO(broken), 100)
    with pytest.raises(WeightsNotReadable):
        weights_size(io.BytesIO(some_weights()), 6)
    archive.write_bytes(an_archive_named("../outside"))
    with pytest.raises(WeightsNotReadable):
        unpack_weights(archive, folder, limit=7)
    assert not (tmp_path / "outside").exists()
    assert (folder / "net/weights.bin").exists()


async def test_weights_that_a_run_uses_stay_whoever_comes_and_two_runs_unpack_them_once(tmp_path: Path) -> None:
    fetched = list[str]()

    @contextlib.asynccontextmanager
    async def download(ref: ObjectRef) -> AsyncIterator[Path]:
        fetched.append(ref.sha256)
        await asyncio.sleep(0)  # the other run comes meanwhile
        (archive := tmp_path / f"{ref.sha256}.tar").write_bytes(some_weights())
        yield archive

    def model(number: int) -> ObjectRef:
        return ObjectRef(bucket="b", key="k", sha256=f"{number:064d}"[::-1], size=1, media_type="application/x-tar")

    torn = tmp_path / "irp-weights-0.a.half"
    torn.mkdir()
    shelf, first = UnpackedWeights(tmp_path, download), model(1)
    async with shelf.held(first, 7) as mine:
        assert mine is not None
        os.utime(mine, (1, 1))  # unpacked long ago
        for number in range(2, 3 + KEPT):
            async with shelf.held(model(number), 7):
                pass
        assert (mine / "net/weights.bin").read_bytes() == b"weights"
        assert not torn.exists()
    async with shelf.held(model(9), 7):  # now it is the oldest that nobody uses
        assert not mine.exists()
        assert len(await asyncio.to_thread(lambda: [*tmp_path.glob("irp-weights-*")])) == KEPT + 1
    async with shelf.held(None, 0) as nothing:
        assert nothing is None

    async def use() -> bool:
        async with shelf.held(first, 7) as folder:
            return folder is not None and (folder / "net/weights.bin").exists()

    fetched.clear()
    assert await asyncio.gather(use(), use()) == [True, True]
    assert fetched == [first.sha256]


def an_archive_named(name: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return data.getvalue()


def test_every_limit_stands_in_the_command() -> None:
    words = run_words("irp-x", Path("/scratch"), "image", Limits(time_s=5, memory_mb=64, processes=16, cpus=1))
    for word in ("--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--pull=never",
                 "--memory=64m", "--memory-swap=64m", "--pids-limit=16", "--cpus=1", "--log-driver=none",
                 "--volume=/scratch/input:/input:ro,Z", "--volume=/scratch/output:/output:rw,Z"):  # fmt: skip
        assert word in words
    assert "--volume=/w:/opt/ml/model:ro,z" in run_words("x", Path("/s"), "image", Limits(), Path("/w"))
    assert not any("docker.sock" in word or "--privileged" in word for word in words)


RUNTIME = """#!/bin/sh
echo "$*" >> {calls}
case "$1 $3" in
images*) echo "localhost/irp-container sha256:new"; echo "debian sha256:theirs"; echo "irp-container sha256:old" ;;
"image --format") echo "irp-container:old algorithm:latest" ;;
--version*) echo "podman 5.0" ;;
esac
"""


async def test_images_that_an_earlier_process_loaded_go_when_there_are_too_many(tmp_path: Path) -> None:
    runtime, calls = tmp_path / "podman", tmp_path / "calls"
    runtime.write_text(RUNTIME.format(calls=calls))
    runtime.chmod(0o755)
    ours = OciRuntime(InMemoryObjects(), [str(runtime)], Scratch(tmp_path))
    for number in range(IMAGES_KEPT - 1):
        await ours.run(
            Work(key="x", sees_patients=False, container=a_container(f"{number:064d}"), limits=Limits(), inputs={})
        )
    said = calls.read_text().splitlines()
    assert [line for line in said if line.startswith("rmi")] == ["rmi irp-container:old algorithm:latest"]
    assert f"tag {0:064d} irp-container:{0:032d}" in said


def test_a_runtime_that_is_told_must_be_there() -> None:
    assert find_runtime("no-such-runtime --flag") == []
    assert find_runtime("env podman") == ["env", "podman"]

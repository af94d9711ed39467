"""What you learn here: two stages find a heart wherever it lies, and one slice gives what the whole series gives."""

from __future__ import annotations

import io
import stat
import zipfile

import numpy as np
import pytest
import torch
from irp_bundle import Bundle, Pipeline, dice, read_bundle, torch_engine, write_bundle
from irp_bundle.errors import BundleNotSafe, BundleNotValid, ImageNotUsable, NetworkNotOffered
from irp_kernel import Geometry, LabelTable, Mask, Volume
from numpy.typing import NDArray

NET = {"_target_": "UNet", "spatial_dims": 2, "in_channels": 1, "channels": [4, 8], "strides": [2], "num_res_units": 0}
VERSIONS = {"version": "1", "monai_version": "1", "pytorch_version": "2", "numpy_version": "2"}
CHANNELS = {"0": "background", "1": "lv_blood_pool", "2": "lv_myocardium"}


def a_bundle(*, locate: bool = True, pipeline: dict | None = None, net: dict | None = None) -> bytes:
    torch.manual_seed(0)
    from irp_bundle import build_network

    segment_def, locate_def = {**(net or NET), "out_channels": 3}, {**NET, "out_channels": 2}
    return write_bundle(
        "heart",
        metadata={**VERSIONS, "network_data_format": {"outputs": {"pred": {"channel_def": CHANNELS}}}},
        config={"network_def": segment_def, "locate_def": locate_def, "irp_pipeline": pipeline or {}},
        segment=build_network({**NET, "out_channels": 3}).state_dict(),
        locate=build_network(locate_def).state_dict() if locate else None,
        card="A phantom's model.",
        licence="Apache-2.0",
    )


def by_brightness(stage: str, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """A "net" whose right answer is known: bright is pool, grey is wall; it only knows hearts of a standard size."""
    image = torch.from_numpy(images[:, 0])
    low, high = image.amin((1, 2), keepdim=True), image.amax((1, 2), keepdim=True)
    level = (image - low) / (high - low + 1e-6)
    pool, wall = (level > 0.75).float(), ((level > 0.3) & (level <= 0.75)).float()
    if stage == "locate":
        return torch.stack([1 - pool - wall, pool + wall], 1).numpy()
    rows = torch.arange(image.shape[1]) - image.shape[1] / 2
    near = (torch.hypot(rows[:, None], rows[None, :]) < image.shape[1] / 2.5).float()
    return torch.stack([1 - (pool + wall) * near, pool * near, wall * near], 1).numpy()


def a_heart(*, size: int = 160, row: float = 80, column: float = 80, radius: float = 14) -> tuple[Volume, Mask]:
    geometry = Geometry(shape=(4, size, size), affine=tuple(map(tuple, np.diag([8.0, 1.4, 1.4, 1.0]))), frames=3)
    rows, columns = np.mgrid[:size, :size]
    distance = np.hypot(rows - row, columns - column)
    labels = np.where(distance < radius, 1, np.where(distance < radius * 1.5, 2, 0)).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 4, geometry.array_shape)
    image = np.choose(labels, [20.0, 400.0, 200.0]) + noise
    everywhere = np.broadcast_to(labels, geometry.array_shape).copy()
    table = LabelTable.canonical(["lv_blood_pool", "lv_myocardium"])
    return Volume(geometry=geometry, array=image), Mask.fully_annotated(geometry, everywhere, table)


def a_pipeline(**options: object) -> Pipeline:
    return Pipeline(read_bundle(a_bundle(**options)), by_brightness)  # type: ignore[arg-type]


@pytest.mark.parametrize("place", [{}, {"row": 30, "column": 125}, {"size": 320, "row": 160, "column": 160}])
def test_a_moved_heart_or_a_doubled_field_of_view_keeps_its_dice(place: dict[str, float]) -> None:
    volume, truth = a_heart(**place)  # type: ignore[arg-type]
    mask, report = a_pipeline().run(volume)
    assert report.parameters["locate.fallback"] == ""
    for name in truth.table.names:
        assert dice(truth, mask, name) > 0.95


def test_without_net_1_a_moved_heart_is_lost() -> None:
    volume, truth = a_heart(row=12, column=148)
    mask, _ = a_pipeline(locate=False).run(volume)
    assert dice(truth, mask, "lv_myocardium") < 0.5


def test_one_slice_alone_equals_its_part_of_the_series() -> None:
    volume, _ = a_heart(row=60, column=90)
    pipeline = a_pipeline()
    series, _ = pipeline.run(volume)
    one, _ = pipeline.run(volume, frames=[1], slices=[2])
    assert np.array_equal(one.labels[1, 2], series.labels[1, 2])
    assert one.annotated.sum() == 2
    assert one.labels.sum() == one.labels[1, 2].sum()


def test_nothing_found_falls_back_to_the_centre_and_says_so() -> None:
    volume, _ = a_heart()
    _, report = a_pipeline().run(Volume(geometry=volume.geometry, array=np.zeros_like(volume.array)))
    assert report.parameters["locate.fallback"] == "centre"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_image_that_is_not_finite_is_refused(bad: float) -> None:
    volume, _ = a_heart()
    array = volume.array.copy()
    array[0, 0, 0, 0] = bad
    with pytest.raises(ImageNotUsable):
        a_pipeline().run(Volume(geometry=volume.geometry, array=array))


@pytest.mark.parametrize("asked", [{"slices": [9]}, {"frames": [-1]}])
def test_slices_that_are_not_there_are_refused(asked: dict[str, list[int]]) -> None:
    with pytest.raises(ImageNotUsable):
        a_pipeline().run(a_heart()[0], **asked)  # type: ignore[arg-type]


def test_weights_survive_the_archive_as_float16() -> None:
    bundle = read_bundle(a_bundle())
    assert all(t.dtype == torch.float16 for t in bundle.segment.values() if t.is_floating_point())
    answer = torch_engine(bundle)("segment", np.zeros((2, 1, 32, 32), np.float32))
    assert answer.shape == (2, 3, 32, 32)
    assert answer.dtype == np.float32


def test_the_same_content_is_the_same_archive() -> None:
    assert a_bundle() == a_bundle()


def _rezipped(change: object) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(a_bundle())) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, old.read(entry))
        change(new)  # type: ignore[operator]
    return out.getvalue()


def _a_link(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("heart/link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(entry, "/etc/passwd")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda a: a.writestr("heart/../../escape", "x"), BundleNotSafe),
        (lambda a: a.writestr("/absolute", "x"), BundleNotSafe),
        (_a_link, BundleNotSafe),
        (lambda a: a.writestr("other/file", "x"), BundleNotValid),
    ],
)
def test_a_hostile_archive_is_refused(change: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_bundle(_rezipped(change))


def test_pickled_objects_are_never_loaded() -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (print, ("executed",))

    weights = io.BytesIO()
    torch.save({"x": Evil()}, weights)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(a_bundle())) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            new.writestr(entry, weights.getvalue() if entry.filename.endswith("model.pt") else old.read(entry))
    with pytest.raises(BundleNotSafe):
        read_bundle(out.getvalue())


def test_a_network_that_is_not_on_the_list_is_not_built() -> None:
    bundle: Bundle = read_bundle(a_bundle(net={"_target_": "os.system", "command": "true"}))
    with pytest.raises(NetworkNotOffered):
        bundle.build("segment")


def test_an_expression_is_not_a_value() -> None:
    with pytest.raises(BundleNotSafe):
        read_bundle(a_bundle(net={**NET, "act": "$__import__('os').getcwd()"})).build("segment")

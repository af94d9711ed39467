"""What you learn here: marks become a network's input, and only the first look at a slice needs the encoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from irp_bundle import (
    InteractiveSteps,
    Located,
    NetworkNotAllowed,
    Pipeline,
    PipelineNotValid,
    PipelineSpec,
    PromptsNeeded,
    PromptsSpec,
    TorchEngine,
    complete,
    prompt_maps,
    read_bundle,
    read_spec,
)
from irp_kernel import Geometry, Volume
from irp_kernel.mask import LV_BLOOD_POOL
from numpy.typing import NDArray

from .marked import FEATURES, SIZE, ByMarks, a_marked_bundle

NOWHERE = np.zeros((48, 40), np.bool_)
WINDOW = Located(windows=np.array([[24.0, 20.0, 32.0]] * 2), outcomes=(), box=12.0)


def steps_of(data: bytes) -> InteractiveSteps:
    bundle = read_bundle(data)
    assert bundle.spec.prompts is not None
    return InteractiveSteps(bundle, bundle.spec.prompts)


def a_volume() -> Volume:
    geometry = Geometry(shape=(2, 48, 40), affine=tuple(map(tuple, np.diag([8.0, 1.4, 1.4, 1.0]))), frames=2)
    return Volume(geometry=geometry, array=np.random.default_rng(0).normal(100, 20, geometry.array_shape))


def at(*pixels: tuple[int, int]) -> NDArray[np.bool_]:
    marked = NOWHERE.copy()
    for pixel in pixels:
        marked[pixel] = True
    return marked


def test_a_mark_becomes_a_disk_where_the_crop_shows_it() -> None:
    spec = PromptsSpec(radius=2)
    inside, outside = prompt_maps(at((24, 20)), at((12, 20)), (24.0, 20.0, 16.0), SIZE, spec)
    rows, columns = np.nonzero(inside)
    # The window's middle lies between four pixels of the crop.
    assert abs(rows.mean() - (SIZE - 1) / 2) <= 0.5
    assert abs(columns.mean() - (SIZE - 1) / 2) <= 0.5
    assert inside.sum() == 13  # pixels within two of one
    assert not outside.any()  # half a window above the middle and more: not in the crop


def test_a_gaussian_falls_off_with_its_radius() -> None:
    spec = PromptsSpec(encoding="gaussian", radius=3)
    inside, _ = prompt_maps(at((24, 20)), NOWHERE, (24.0, 20.0, 32.0), SIZE, spec)
    row, column = np.unravel_index(inside.argmax(), inside.shape)
    assert inside[row, column] == 1
    assert inside[row + 3, column] == pytest.approx(np.exp(-0.5))


def test_the_second_click_on_a_slice_needs_no_encoder() -> None:
    steps, engine, volume = steps_of(a_marked_bundle()), ByMarks(), a_volume()
    view = steps.view((1, 0), at((24, 20)), NOWHERE, NOWHERE, WINDOW)
    features = complete(steps.encode(volume, [view]), engine)
    first = complete(steps.segment([view], features, WINDOW), engine)
    again = steps.view((1, 0), at((24, 20), (30, 20)), NOWHERE, NOWHERE, WINDOW)
    assert again.window == view.window
    second = complete(steps.segment([again], features, WINDOW), engine)
    assert engine.passes == [
        ("encode", (1, 1, SIZE, SIZE)),
        ("segment", (1, FEATURES + 2, SIZE, SIZE)),
        ("segment", (1, FEATURES + 2, SIZE, SIZE)),
    ]
    assert (first.report.frames, first.report.slices) == ((1,), (0,))
    assert first.labels[0, 0, 24, 20] == second.labels[0, 0, 30, 20] == LV_BLOOD_POOL
    assert first.labels[0, 0, 30, 20] == 0


def test_without_an_encoder_the_image_itself_goes_with_the_marks() -> None:
    steps, engine = steps_of(a_marked_bundle(encoder=False)), ByMarks()
    view = steps.view((0, 1), at((24, 20)), NOWHERE, NOWHERE, WINDOW)
    features = complete(steps.encode(a_volume(), [view]), engine)
    complete(steps.segment([view], features, WINDOW), engine)
    assert engine.passes == [("segment", (1, 3, SIZE, SIZE))]


def test_a_mark_beyond_the_window_makes_it_look_at_the_whole_slice() -> None:
    steps = steps_of(a_marked_bundle())
    assert steps.view((0, 0), at((24, 20)), at((1, 1)), NOWHERE, WINDOW).window == (24.0, 20.0, 32.0)
    assert steps.view((0, 0), at((2, 20)), NOWHERE, NOWHERE, WINDOW).window == (23.5, 19.5, 48.0)


def test_what_was_marked_as_outside_or_lies_beyond_a_box_is_never_part_of_it() -> None:
    steps, box = steps_of(a_marked_bundle()), NOWHERE.copy()
    box[20:28, 16:24] = True

    def everything(stage: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        shape = (len(batch), FEATURES if stage == "encode" else 2, SIZE, SIZE)
        return np.broadcast_to(np.arange(shape[1], dtype=np.float32)[:, None, None], shape).copy()

    view = steps.view((0, 0), NOWHERE, at((24, 20)), box, WINDOW)
    features = complete(steps.encode(a_volume(), [view]), everything)
    found = complete(steps.segment([view], features, WINDOW), everything).labels[0, 0] > 0
    assert np.array_equal(found, box & ~at((24, 20)))


def test_a_bundle_with_an_encoder_runs_as_it_was_written() -> None:
    data = a_marked_bundle()
    bundle = read_bundle(data)
    assert bundle.stages == ("encode", "segment")
    assert bundle.input_shape("segment") == (FEATURES + 2, SIZE, SIZE)
    steps, engine = steps_of(data), TorchEngine(bundle)
    views = [steps.view((f, s), at((24, 20)), NOWHERE, NOWHERE, WINDOW) for f in (0, 1) for s in (0, 1)]
    features = complete(steps.encode(a_volume(), views), engine)
    together = complete(steps.segment(views, features, WINDOW), engine).labels
    alone = complete(steps.segment(views[2:3], features[2:3], WINDOW), engine).labels
    assert np.array_equal(together[1:2, 0:1], alone)
    assert together.shape == (2, 2, 48, 40)


def test_nothing_marked_is_refused_also_where_no_reader_is() -> None:
    steps = steps_of(a_marked_bundle())
    with pytest.raises(PromptsNeeded):
        steps.view((0, 0), NOWHERE, at((3, 3)), NOWHERE, WINDOW)
    with pytest.raises(PromptsNeeded):
        Pipeline(read_bundle(a_marked_bundle()), ByMarks()).run(a_volume())


@pytest.mark.parametrize(
    "prompts",
    [
        [],
        {"kinds": []},
        {"kinds": "click"},
        {"kinds": ["lasso"]},
        {"kinds": [["click"]]},
        {"encoding": "square"},
        {"radius": 0},
        {"radius": "2"},
        {"radius": float("nan")},
        {"colour": "red"},
    ],
)
def test_prompts_are_read_with_care(prompts: Any) -> None:
    with pytest.raises(PipelineNotValid):
        read_spec({"prompts": prompts})


def test_a_spec_says_prompts_only_where_there_are_any() -> None:
    assert "prompts" not in PipelineSpec().to_json()
    spec = PipelineSpec(prompts=PromptsSpec(kinds=("click",), radius=2.5))
    assert read_spec(spec.to_json()) == spec


def test_networks_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(NetworkNotAllowed):
        a_marked_bundle(inputs=3)  # features and two maps are five
    with pytest.raises(NetworkNotAllowed):
        a_marked_bundle(encoder=False, inputs=1)
    with pytest.raises(PipelineNotValid):
        a_marked_bundle(prompts=None)

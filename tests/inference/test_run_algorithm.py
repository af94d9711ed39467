"""What you learn here: a method's answer has a model's form, on the series' grid, and says how it came to be."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from irp.inference.v1 import inference_service_pb2 as pb
from irp_bundle import NoSuchSlice
from irp_inference.adapters.compact import wish_of
from irp_inference.app.ports import SeriesKnown, Ticket
from irp_inference.app.run_algorithm import RunAlgorithm
from irp_inference.domain.errors import ParametersNotValid, PromptsNotValid, VolumeNotOffered
from irp_kernel import Geometry, ObjectRef, Volume
from irp_kernel.errors import SeriesUnknown
from irp_kernel.mask import SCAR

from .test_algorithms import RING, SIZE, dice, late_enhancement
from .test_algorithms import SCAR as TRUE_SCAR

REF = ObjectRef(bucket="b", key="k", sha256="0" * 64, size=1, media_type="application/x-nrrd")
TICKET = Ticket(project="demo")


class Series:
    async def get(self, project: str, uid: str) -> SeriesKnown | None:
        known = SeriesKnown(project=project, uid=uid, version=1, volume=REF, sequence_class="lge-psir-sax")
        return known if uid == "1.2" else None


class Volumes:
    async def get(self, ref: ObjectRef) -> Volume:
        geometry = Geometry(shape=(3, SIZE, SIZE), affine=tuple(map(tuple, np.diag([8.0, 1.4, 1.4, 1.0]))), frames=1)
        return Volume(geometry=geometry, array=np.stack([late_enhancement()] * 3)[None])


class Myocardium:
    """A model whose myocardium is the ring, with a right ventricle elsewhere."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def __call__(self, wish: Any, ticket: Ticket) -> Any:
        self.asked.append(wish)
        labels = np.where(RING, 2, 0).astype(np.uint8)
        labels[:5] = 3
        segmented = SimpleNamespace(labels=np.stack([labels] * len(wish.slices))[None])
        return SimpleNamespace(segmented=segmented, model=SimpleNamespace(name="lge", version=4))


async def at_once(work: Callable[[], Any], ticket: Ticket, rows: int = 1) -> Any:
    return work()


def a_request(**more: Any) -> pb.SegmentRequest:
    request = pb.SegmentRequest(series_uid="1.2", slices=[1])
    request.project.id = "demo"
    said = {"name": "n-sd", "structure": "scar", "parameters": '{"n": 5}', "within_model": "lge", **more}
    request.algorithm.CopyFrom(pb.Algorithm(**said))
    request.prompts.scribbles.add(slice=1, points=[30, 44, 28, 50], inside=False, width=3)
    return request


def an_algorithm(model: Myocardium | None = None) -> RunAlgorithm:
    segment: Any = model or Myocardium()
    return RunAlgorithm(Series(), Volumes(), segment, at_once)


async def test_scar_is_found_in_a_models_myocardium_on_the_marked_slice_only() -> None:
    model = Myocardium()
    answer = await an_algorithm(model)(wish_of(a_request()), TICKET)
    assert (model.asked[0].model, model.asked[0].slices) == ("lge", [1])
    labels = answer.segmented.labels
    assert labels.shape == (1, 1, SIZE, SIZE)
    assert set(np.unique(labels)) == {0, SCAR}
    assert dice(labels[0, 0] == SCAR, TRUE_SCAR) >= 0.99
    mask = answer.segmented.mask(answer.geometry)
    assert mask.annotated[0, :, 0].tolist() == [False, True, False]
    assert (answer.model.name, answer.model.digest) == ("n-sd", "")
    assert answer.parameters["algorithm.parameters"] == '{"n": 5}'
    assert len(answer.parameters["algorithm.marks_sha256"]) == 64


async def test_without_marks_a_method_that_needs_none_answers_the_slices_that_were_asked_for() -> None:
    request = a_request(name="fwhm", parameters="")
    request.ClearField("prompts")
    answer = await an_algorithm()(wish_of(request), TICKET)
    assert dice(answer.segmented.labels[0, 0] == SCAR, TRUE_SCAR) >= 0.99


async def test_across_slices_one_marked_slice_speaks_for_all_and_the_model_is_asked_once() -> None:
    model = Myocardium()
    request = a_request(volume=True)
    request.ClearField("slices")
    answer = await an_algorithm(model)(wish_of(request), TICKET)
    assert [(wish.frames, wish.slices) for wish in model.asked] == [([0], [0, 1, 2])]
    assert answer.segmented.labels.shape == (1, 3, SIZE, SIZE)
    assert [dice(labels == SCAR, TRUE_SCAR) >= 0.99 for labels in answer.segmented.labels[0]] == [True] * 3
    assert answer.segmented.mask(answer.geometry).annotated[0, :, 0].all()
    assert answer.parameters["algorithm.across_slices"] == "0-2"
    assert answer.segmented.estimate.warnings == ()


async def test_slices_that_are_named_bound_a_volume() -> None:
    request = a_request(volume=True)
    request.slices[:] = [2, 1]
    answer = await an_algorithm()(wish_of(request), TICKET)
    assert answer.segmented.report.slices == (1, 2)
    request.slices[:] = [2]
    with pytest.raises(PromptsNotValid, match="not named"):  # the mark is on slice 1
        await an_algorithm()(wish_of(request), TICKET)
    for slices in ([3], [0, 2**31 - 1]):
        request.slices[:] = slices
        with pytest.raises(NoSuchSlice):
            await an_algorithm()(wish_of(request), TICKET)
    request.frames[:] = [4]
    request.ClearField("slices")
    with pytest.raises(NoSuchSlice):
        await an_algorithm()(wish_of(request), TICKET)


async def test_one_version_shows_the_myocardium_of_a_whole_answer() -> None:
    request, model = a_request(within_model="lge@previous"), Myocardium()
    request.prompts.scribbles.add(slice=2, points=[30, 44, 28, 50], inside=False, width=3)
    request.slices[:] = [1, 2]
    answer = await an_algorithm(model)(wish_of(request), TICKET)
    assert [wish.model for wish in model.asked] == ["lge@previous", "lge@4"]
    assert answer.parameters["algorithm.within_model"] == "lge@4"


async def test_a_region_that_leaks_to_the_border_of_the_image_says_so() -> None:
    request = a_request(name="region-growing", parameters='{"tolerance": 100}', within_model="", volume=True)
    request.prompts.clicks.add(slice=1, row=48, column=44, inside=True)
    answer = await an_algorithm()(wish_of(request), TICKET)
    assert answer.segmented.estimate.warnings == ("touches-border",)
    assert "leaked" in answer.segmented.estimate.texts[0]


BROKEN: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"parameters": "[]"}, ParametersNotValid),
    ({"parameters": "{" * 5000}, ParametersNotValid),
    ({"parameters": '{"n": 1e9}'}, ParametersNotValid),
    ({"structure": "stomach"}, ParametersNotValid),
    ({"name": "graph-cut", "parameters": "", "volume": True}, VolumeNotOffered),
]


@pytest.mark.parametrize(("more", "error"), BROKEN)
async def test_what_cannot_be_used_is_refused(more: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        await an_algorithm()(wish_of(a_request(**more)), TICKET)


async def test_marks_that_lie_nowhere_and_series_that_nobody_knows_are_refused() -> None:
    elsewhere = a_request()
    elsewhere.prompts.clicks.add(slice=7, row=1, column=1, inside=True)
    with pytest.raises(PromptsNotValid):
        await an_algorithm()(wish_of(elsewhere), TICKET)
    odd = a_request()
    odd.prompts.scribbles[0].points.append(3)
    with pytest.raises(PromptsNotValid):
        wish_of(odd)
    endless = a_request()
    endless.prompts.scribbles[0].points.extend([1.0] * 16_000)
    with pytest.raises(PromptsNotValid):
        wish_of(endless)
    uneven = a_request()
    uneven.prompts.clicks.add(frame=1, slice=2, row=1, column=1, inside=True)  # (0, 1) and (1, 2), not (0, 2), (1, 1)
    with pytest.raises(PromptsNotValid):
        wish_of(uneven)
    unknown = a_request()
    unknown.series_uid = "9.9"
    with pytest.raises(SeriesUnknown):
        await an_algorithm()(wish_of(unknown), TICKET)
    unmarked = a_request()
    unmarked.ClearField("prompts")
    unmarked.ClearField("slices")
    with pytest.raises(PromptsNotValid):
        await an_algorithm()(wish_of(unmarked), TICKET)

"""What you learn here: a run shows its curves with intervals, pictures of its answers, and what it costs."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from irp_bundle import SegmentSpec, read_bundle
from irp_training.domain.learning.allowance import Allowance
from irp_training.domain.learning.lesson import Lesson
from irp_training.domain.learning.plan import Outcome, Said
from irp_training.domain.run import Metric
from irp_training.domain.samples.examples import Example
from irp_training.domain.samples.stages import Segment
from irp_training.domain.watching.borders import border_figures
from irp_training.domain.watching.curves import dice_figures
from irp_training.domain.watching.drawing import draw_curves
from irp_training.domain.watching.event_file import crc32c, event_file
from irp_training.domain.watching.looks import Look
from irp_training.domain.watching.overlay import COLOURS, EXPERT, chosen, draw_overlay
from PIL import Image
from training_builders import TINY, a_plan, some_files

BRIEF = replace(TINY, locate_epochs=1, segment_epochs=2, checkpoint_epochs=1)
CURVES = ("segment_loss", "val_dice_lv_blood_pool", "val_hd95_mm_lv_blood_pool")
METRICS = [Metric(epoch, name, 0.1 * epoch) for epoch in (1, 2) for name in CURVES]


@pytest.fixture(scope="module")
def watched() -> tuple[Outcome, list[Said]]:
    said: list[Said] = []
    return Lesson(a_plan(BRIEF), said.append)(some_files(validation=2), None), said


def test_curves_carry_intervals_over_patients_and_what_the_machine_did(watched: tuple[Outcome, list[Said]]) -> None:
    points = {(m.epoch, m.name): m.value for said in watched[1] for m in said.metrics}
    last = BRIEF.locate_epochs + BRIEF.segment_epochs
    low, mean, high = (points[last, f"val_dice_lv_blood_pool{end}"] for end in ("_low", "", "_high"))
    assert low <= mean <= high
    assert points[last, "memory_mib"] > 10
    assert points[last, "cpu_cores"] > 0


def test_borders_are_measured_while_a_run_learns_as_its_end_measures_them(watched: tuple[Outcome, list[Said]]) -> None:
    points = {(m.epoch, m.name): m.value for said in watched[1] for m in said.metrics}
    last = BRIEF.locate_epochs + BRIEF.segment_epochs
    assert not any(name.startswith("val_hd95") for epoch, name in points if epoch == BRIEF.locate_epochs)
    for measure in ("hd95_mm", "assd_mm"):
        low, mean, high = (points[last, f"val_{measure}_lv_blood_pool{end}"] for end in ("_low", "", "_high"))
        assert 0 < low <= mean <= high
    assert points[last, "val_unmatched_lv_blood_pool"] >= 0


def test_distances_are_in_mm_of_the_slice_and_none_is_made_up() -> None:
    stage = Segment(("pool", "scar"), SegmentSpec(size=64), margin=2.0)

    def a_look(patient: str, drawn: slice, found: slice, judged: tuple[bool, bool] = (True, False)) -> Look:
        box = torch.tensor([[20.0, 20.0, 16.0]])  # the window is 32 pixels wide: half a pixel per pixel of the crop
        nothing = torch.zeros((1, 40, 40))
        example = Example(
            image=nothing[None], labels=nothing.byte(), judged=torch.tensor(judged), box=box, whole=True,
            ventricle=nothing.bool(), patient=patient, pixel_mm=(3.0, 2.0),
        )  # fmt: skip
        truth, answer = np.zeros((2, 64, 64), np.uint8)
        truth[drawn, 10:20] = answer[found, 10:20] = 1
        return Look(example=example, plane=0, found=answer, truth=truth, judged=np.array(judged))

    assert stage.pixel_mm(a_look("p", slice(0), slice(0)).example) == (1.5, 1.0)
    equal, moved = slice(10, 20), slice(12, 22)
    looks = [a_look("p", equal, equal), a_look("q", equal, moved), a_look("q", equal, slice(0), (True, True))]
    found = border_figures(stage, looks)
    assert found["val_hd95_mm_pool"] == pytest.approx((0 + 2 * 1.5) / 2)  # two rows; the third slice has no distance
    assert found["val_hd95_mm_pool_low"] <= found["val_assd_mm_pool"] < found["val_hd95_mm_pool"]
    assert (found["val_unmatched_pool"], found["val_unmatched_scar"]) == (1, 0)
    assert "val_hd95_mm_scar" not in found


def test_where_passes_are_short_checkpoints_and_pictures_wait_and_the_weights_do_not_notice(
    watched: tuple[Outcome, list[Said]],
) -> None:
    said: list[Said] = []
    recipe = replace(BRIEF, segment_epochs=3, overhead=0.0)
    outcome = Lesson(a_plan(recipe), said.append)(some_files(validation=2), None)
    of_passes = [one for one in said if one.metrics]
    assert [one.checkpoint is not None for one in of_passes] == [True, False, False, True]  # ends of stages
    assert [bool(one.overlays) for one in of_passes] == [False, True, False, True]  # the first, and the last
    always = Lesson(a_plan(replace(recipe, overhead=1.0)), lambda _said: None)(some_files(validation=2), None)
    for role, weights in read_bundle(always.bundle).weights.items():
        rare = read_bundle(outcome.bundle).weights[role]
        assert all(torch.equal(rare[name], tensor) for name, tensor in weights.items())


def test_an_allowance_is_a_share_of_the_time_and_is_saved() -> None:
    times = iter([0.0, 1.0, 1.0, 3.0, 10.0, 19.0, 20.0])
    allowance = Allowance(0.1, lambda: next(times))
    assert allowance.paid  # after one second: nothing was spent yet
    with allowance.spending():  # two seconds
        pass
    assert [allowance.paid for _ in range(3)] == [False, False, True]  # after 10, 19 and 20 seconds


def test_each_pass_of_the_second_net_shows_its_best_middle_and_worst_slice(
    watched: tuple[Outcome, list[Said]],
) -> None:
    shown = [said.overlays for said in watched[1] if said.overlays]
    assert [one[0].epoch for one in shown] == [2, 3]
    dice = {overlay.which: overlay.dice for overlay in shown[-1]}
    assert dice["worst"] <= dice["median"] <= dice["best"]
    picture = Image.open(io.BytesIO(shown[-1][0].picture))
    assert picture.info == {}  # no text, no date
    assert min(picture.size) >= 256


def test_cases_tell_how_far_borders_lie_apart_and_the_card_how_sure_that_is(
    watched: tuple[Outcome, list[Said]],
) -> None:
    outcome = watched[0]
    for case in outcome.cases:
        assert all(found["hd95_mm"] >= found["assd_mm"] / 2 for found in case["distances"].values() if found)
    found = outcome.figures["intervals"]["validation"]
    assert all(measures["dice"]["patients"] == 2 for measures in found.values())
    assert all(measures["dice"]["low"] <= measures["dice"]["mean"] for measures in found.values())


def test_a_point_has_no_interval_where_one_patient_judges() -> None:
    assert dice_figures({"scar": {"p": (1.0, 2.0)}}) == {"val_dice_scar": 0.5}
    assert len(dice_figures({"scar": {"p": (1.0, 2.0), "q": (2.0, 2.0)}})) == 3


def test_an_overlay_draws_the_expert_over_the_network_and_nothing_else() -> None:
    expert, found = np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.uint8)
    expert[20:30, 20:30], found[40:50, 40:50] = 1, 2
    flat = np.full((64, 64), 7.0)
    picture = Image.open(io.BytesIO(draw_overlay(flat, expert, found)))
    pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert {tuple(pixel) for pixel in np.unique(pixels, axis=0).tolist()} == {(0, 0, 0), EXPERT, COLOURS[1]}
    assert chosen([0.5, 0.9, 0.1]) == {"best": 1, "median": 0, "worst": 2}
    assert chosen([]) == {}


@pytest.mark.parametrize(("form", "begin"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_curves_are_drawn_the_same_every_time(form: Any, begin: bytes) -> None:
    picture = draw_curves(METRICS, form)
    assert picture.startswith(begin)
    assert picture == draw_curves(METRICS, form)


def test_an_event_file_is_read_back_by_a_reader_that_knows_the_format_only() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
    png = draw_overlay(np.eye(64), np.eye(64, dtype=np.uint8), np.zeros((64, 64), np.uint8))
    events = list(read_events(event_file(1.5, METRICS, [(2, "worst", png)])))
    assert events[0].file_version == "brain.Event:2"
    values = [(event.step, value) for event in events for value in event.summary.value]
    scalars = {(step, value.tag): value.simple_value for step, value in values if value.HasField("simple_value")}
    assert scalars == {(m.epoch, m.name): pytest.approx(m.value) for m in METRICS}
    (image,) = [value.image for _, value in values if value.HasField("image")]
    assert (image.width, image.height, image.encoded_image_string) == (384, 384, png)


def read_events(data: bytes) -> Any:
    """Records with their checks, decoded by the protocol buffer library from the format's own field numbers."""
    event = event_type()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        body = data[12 : 12 + length]
        assert struct.unpack("<I", data[8:12])[0] == masked(data[:8])
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked(body)
        yield event.FromString(body)
        data = data[16 + length :]


def masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15) + (crc << 17) + 0xA282EAD8) % (1 << 32)


def event_type() -> Any:
    """tensorflow.Event, as much of it as TensorBoard shows here."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="event.proto", package="t", syntax="proto2")

    def message(name: str, *fields: tuple[str, int, int, str]) -> None:
        made = file.message_type.add(name=name)
        for field, number, kind, of in fields:
            label = kinds.LABEL_REPEATED if field == "value" else kinds.LABEL_OPTIONAL
            made.field.add(name=field, number=number, type=kind, label=label)
            if of:
                made.field[-1].type_name = f".t.{of}"

    number, text, data, other = kinds.TYPE_INT32, kinds.TYPE_STRING, kinds.TYPE_BYTES, kinds.TYPE_MESSAGE
    image = [("height", 1), ("width", 2), ("colorspace", 3)]
    message("Image", *((name, n, number, "") for name, n in image), ("encoded_image_string", 4, data, ""))
    message("Value", ("tag", 1, text, ""), ("simple_value", 2, kinds.TYPE_FLOAT, ""), ("image", 4, other, "Image"))
    message("Summary", ("value", 1, other, "Value"))
    step = ("step", 2, kinds.TYPE_INT64, "")
    wall = ("wall_time", 1, kinds.TYPE_DOUBLE, "")
    message("Event", wall, step, ("file_version", 3, text, ""), ("summary", 5, other, "Summary"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Event"))

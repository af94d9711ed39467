"""What you learn here: half the bits for convolutions give nearly the same losses, and the scale survives a restart."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from irp_bundle import SegmentSpec
from irp_training.domain.learning.checkpoint import Saved, pack, unpack
from irp_training.domain.learning.trainer import Trainer
from irp_training.domain.networks.build import definitions, fresh
from irp_training.domain.networks.mixed import chosen
from irp_training.domain.samples.examples import examples_of
from irp_training.domain.samples.stages import Segment
from training_builders import HEART, TINY, a_heart

EXAMPLES = examples_of(*a_heart(3), HEART)


def a_trainer(amp: str) -> Trainer:
    net = fresh(definitions(TINY, HEART, None)["network_def"], 1)
    recipe = replace(TINY, amp=amp, min_steps=4)
    return Trainer(net, Segment(HEART, SegmentSpec(size=64), 2.4), EXAMPLES, recipe, torch.device("cpu"))


def test_bfloat16_learns_what_float32_learns_within_its_three_digits() -> None:
    full, half = a_trainer("off"), a_trainer("bf16")
    losses, halved = list(full.epoch()), list(half.epoch())
    assert losses != halved
    assert halved == pytest.approx(losses, rel=0.02)
    assert {tensor.dtype for tensor in half.weights().values()} == {torch.float32}


def test_the_scale_of_fp16_is_part_of_the_checkpoint() -> None:
    first, again = a_trainer("fp16"), a_trainer("fp16")
    list(first.epoch())
    state = unpack(pack(Saved(state=first.state()))).state
    assert state is not None
    assert state["mixed"]["_growth_tracker"] == 4
    again.load(state)
    assert list(again.epoch()) == list(first.epoch())


def test_auto_is_off_on_a_processor_whose_sums_are_to_be_exact() -> None:
    assert chosen("auto", torch.device("cpu")) == "off"
    assert chosen("bf16", torch.device("cpu")) == "bf16"
    assert a_trainer("auto").state()["mixed"] == {}

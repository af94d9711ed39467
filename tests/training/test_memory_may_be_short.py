"""What you learn here: a batch that does not fit is looked at in parts, with the weights of whole batches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from irp_bundle import SegmentSpec, read_bundle
from irp_training.domain.errors import OutOfMemory
from irp_training.domain.feeding.ranks import Alone, Ranks
from irp_training.domain.learning.batch_size import largest_that_fits, memory_told, one_step
from irp_training.domain.learning.lesson import Lesson
from irp_training.domain.learning.plan import Said
from irp_training.domain.learning.trainer import Trainer
from irp_training.domain.networks.build import definitions, fresh
from irp_training.domain.recipes.recipe import Recipe
from irp_training.domain.samples.examples import Example, examples_of
from irp_training.domain.samples.stages import Segment
from torch import nn
from training_builders import HEART, TINY, a_heart, a_plan, only, some_files

STAGE = Segment(HEART, SegmentSpec(size=64), 2.4)
RECIPE = replace(TINY, batch=6, min_steps=3, augment=0.0)


class Cramped(nn.Module):
    """A net on a device that holds so many slices: more raise what PyTorch raises."""

    def __init__(self, net: nn.Module, holds: int) -> None:
        super().__init__()
        self.net, self.holds, self.seen = net, holds, list[int]()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.seen.append(len(image))
            if len(image) > self.holds:
                raise torch.OutOfMemoryError("CUDA out of memory.")
        found: torch.Tensor = self.net(image)
        return found


def a_net(holds: int) -> Cramped:
    return Cramped(fresh(definitions(TINY, HEART, None)["network_def"], 1), holds)


def some_examples() -> Sequence[Example]:
    """In some only the cavity was drawn: the loss is no mean over slices, and the base is asked."""
    (volume, mask), (other, half) = a_heart(1), a_heart(2)
    return [*examples_of(volume, mask, HEART), *examples_of(other, only(half, "lv_blood_pool"), HEART)]


def learnt(holds: int, recipe: Recipe = RECIPE) -> tuple[Trainer, list[float], Cramped]:
    net = a_net(holds)
    trainer = Trainer(net, STAGE, some_examples(), recipe, torch.device("cpu"), base=a_net(99).net)
    return trainer, list(trainer.epoch()), net


def test_parts_of_a_batch_give_the_weights_and_losses_of_the_whole() -> None:
    (whole, losses, _), (parts, losses_of_parts, net) = learnt(99), learnt(2)
    assert (parts.slices_at_once, parts.short_of_memory, whole.short_of_memory) == (2, True, False)
    assert net.seen[:2] == [6, 3]  # tried, and not fitting
    assert losses == pytest.approx(losses_of_parts, rel=1e-5)
    # A bias before a normalisation has no effect: its gradient is rounding, which Adam makes as large as any other.
    theirs = whole.weights()
    for name, tensor in parts.weights().items():
        assert name.endswith("bias") or torch.allclose(tensor, theirs[name], rtol=1e-4, atol=1e-5), name


class Forgetful(nn.Module):
    """A net with dropout; remembers what it answered, and with what seed."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.Dropout(0.5), nn.Conv2d(8, 4, 1))
        self.answers, self.seeds = list[torch.Tensor](), list[int]()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if len(image) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        found: torch.Tensor = self.net(image)
        self.answers.append(found.detach())
        self.seeds.append(torch.initial_seed())
        return found


def forgetful(ranks: Ranks | None = None) -> Forgetful:
    net = Forgetful()
    next(iter(Trainer(net, STAGE, some_examples(), RECIPE, torch.device("cpu"), ranks=ranks).epoch()))
    return net


def test_gradients_of_parts_are_those_of_the_masks_that_the_loss_saw() -> None:
    net = forgetful()
    assert len(net.answers) == 6  # three parts, looked at and passed back through
    for looked, passed_back in zip(net.answers[:3], net.answers[3:], strict=True):
        assert torch.equal(looked, passed_back)
    assert len(set(net.seeds)) == 3, "each part has masks of its own"


def test_each_process_of_a_run_draws_masks_of_its_own() -> None:
    class Second(Alone):
        rank, size = 1, 2

    assert not set(forgetful().seeds) & set(forgetful(Second()).seeds)


def test_a_run_that_goes_on_knows_how_little_fits() -> None:
    trainer, _, _ = learnt(1)
    net = a_net(1)
    again = Trainer(net, STAGE, some_examples(), RECIPE, torch.device("cpu"))
    again.load(trainer.state())
    list(again.epoch())
    assert set(net.seen) == {1}


def test_a_device_that_does_not_hold_one_slice_says_what_to_do() -> None:
    with pytest.raises(OutOfMemory) as told:
        learnt(0)
    assert told.value.reason == "OUT_OF_MEMORY"
    assert "segment_size" in told.value.advice()


@pytest.mark.parametrize(("holds", "batch"), [(99, 64), (40, 32), (5, 4), (1, 1)])
def test_an_open_batch_is_the_largest_power_of_two_that_fits(holds: int, batch: int) -> None:
    net = a_net(holds).train()
    sample = STAGE.sample(some_examples()[0], None, RECIPE.augmentation)
    small = (sample[0][:, :16, :16], sample[1][:16, :16], sample[2])
    assert largest_that_fits(one_step(net, small, "off", torch.device("cpu"))) == batch
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_run_with_an_open_batch_says_what_it_took_also_when_it_goes_on() -> None:
    said: list[Said] = []
    plan = a_plan(replace(TINY, batch=0, locate_epochs=1, segment_epochs=1, checkpoint_epochs=1))
    whole = Lesson(plan, said.append)(some_files(), None)
    assert whole.remarks == ("a step had 12 slices",)
    assert json.loads(read_bundle(whole.bundle).metadata["recipe"])["batch"] == 12
    resumed = Lesson(plan, said.append)(some_files(), said[0].checkpoint)
    assert (resumed.bundle, resumed.remarks) == (whole.bundle, whole.remarks)


def test_memory_that_ends_elsewhere_is_told_in_the_same_words() -> None:
    with pytest.raises(OutOfMemory), memory_told():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")


def test_where_nothing_fits_there_is_no_batch() -> None:
    def never(_size: int) -> None:
        raise torch.OutOfMemoryError

    with pytest.raises(OutOfMemory):
        largest_that_fits(never)

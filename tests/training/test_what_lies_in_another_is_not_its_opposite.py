"""What you learn here: scar that nobody looked for is part of the wall that was drawn, in the loss and in figures."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from irp_bundle import Pipeline, SegmentSpec
from irp_kernel import LabelTable, Mask, encode_mask
from irp_training.domain.challenges.scoring import score_answer
from irp_training.domain.drift.correction import compare
from irp_training.domain.feeding.ranks import Alone
from irp_training.domain.judging.scores import as_far_as_judged, measure_case, score_case
from irp_training.domain.samples.augment import NONE
from irp_training.domain.samples.examples import examples_of
from irp_training.domain.samples.loss import merged_log_probabilities, partial_loss, remembering_loss
from irp_training.domain.samples.nested import enclosing, known_classes, known_labels
from irp_training.domain.samples.stages import Segment
from irp_training.domain.watching.borders import border_figures
from irp_training.domain.watching.validation import Validation, dice_of
from torch import Tensor, nn
from training_builders import a_heart

SCARRED = ("lv_blood_pool", "lv_myocardium", "scar")
POOL, WALL, SCAR = 1, 2, 3
INSIDE = enclosing(SCARRED)
NOT_THE_SCAR = torch.tensor([[True, True, False]])


def a_net_sure_of(channel: int) -> Tensor:
    logits = torch.zeros(1, 4, 8, 8)
    logits[:, channel] = 6.0
    return logits.requires_grad_()


def pushed(logits: Tensor, loss: Tensor) -> Tensor:
    loss.backward()
    assert logits.grad is not None
    return logits.grad


def scarred_heart() -> Mask:
    """A heart of whose wall every second pixel is scar."""
    _, mask = a_heart(4)
    labels = np.where(mask.labels == 3, 0, mask.labels)
    labels[mask.labels == 2] = np.where(np.arange((mask.labels == 2).sum()) % 2, 2, 4)
    return Mask.fully_annotated(mask.geometry, labels.astype(np.uint8), LabelTable.canonical(SCARRED))


def without_scar(mask: Mask) -> Mask:
    """The same heart by somebody who drew the wall and did not look for scar."""
    annotated = mask.annotated.copy()
    annotated[..., mask.table.index("scar")] = False
    labels = np.where(mask.labels == 4, 2, mask.labels).astype(np.uint8)
    return Mask(geometry=mask.geometry, labels=labels, table=mask.table, annotated=annotated)


class Sees(nn.Module):
    """A net that answers always the same."""

    def __init__(self, labels: Tensor) -> None:
        super().__init__()
        self.logits = nn.functional.one_hot(labels, 4).permute(0, 3, 1, 2).float()

    def forward(self, image: Tensor) -> Tensor:
        return self.logits[: len(image)]


def test_structures_know_what_they_lie_in_if_the_model_has_it() -> None:
    assert INSIDE == (0, 0, WALL)
    assert enclosing(("no_reflow", "scar", "lv_myocardium")) == (3, 3, 0)
    assert enclosing(("scar", "lv_blood_pool")) == (0, 0)


@pytest.mark.parametrize(
    ("judged", "classes"),
    [
        ([True, True, True], [0, 1, 2, 3]),
        ([True, True, False], [0, 1, 2, 2]),
        ([True, False, False], [0, 1, 0, 0]),
        ([True, False, True], [0, 1, 0, 3]),
    ],
)
def test_what_was_not_judged_counts_as_what_it_lies_in_or_as_the_rest(judged: list[bool], classes: list[int]) -> None:
    assert known_classes(torch.tensor([judged]), INSIDE).tolist() == [classes]


def test_scar_that_nobody_looked_for_is_not_pushed_out_of_the_wall() -> None:
    wall = torch.full((1, 8, 8), WALL)
    logits = a_net_sure_of(SCAR)
    loss = partial_loss(logits, wall, NOT_THE_SCAR, INSIDE)
    assert float(loss.detach()) < 0.02, "scar is wall: the net is right"
    gradient = pushed(logits, loss)
    assert float(gradient[:, WALL].abs().max()) < 1e-6
    # The net may still become surer of the wall as a whole; its parts then move together, by their shares of it.
    share = logits.detach()[:, [WALL, SCAR]].softmax(1)
    together = gradient[:, [WALL, SCAR]].sum(1, keepdim=True)
    torch.testing.assert_close(gradient[:, [WALL, SCAR]], share * together, atol=1e-8, rtol=1e-4)


def test_where_scar_was_looked_for_it_is_told_from_the_wall() -> None:
    wall = torch.full((1, 8, 8), WALL)
    gradient = pushed(logits := a_net_sure_of(SCAR), partial_loss(logits, wall, torch.ones(1, 3).bool(), INSIDE))
    assert float(gradient[:, SCAR].min()) > 0 > float(gradient[:, WALL].max())


def test_the_wall_with_its_scar_is_one_class() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(1, 4, 8, 8), torch.randint(0, 3, (1, 8, 8))
    wall = torch.logsumexp(logits[:, [WALL, SCAR]], dim=1)
    three = torch.stack([logits[:, 0], logits[:, POOL], wall], dim=1)
    whole = partial_loss(three, labels, torch.ones(1, 2).bool())
    torch.testing.assert_close(partial_loss(logits, labels, NOT_THE_SCAR, INSIDE), whole)
    sums = merged_log_probabilities(logits, NOT_THE_SCAR, INSIDE).exp().sum(1)
    torch.testing.assert_close(sums, torch.ones(1, 8, 8))


def test_in_a_batch_each_slice_has_its_own_unknown() -> None:
    torch.manual_seed(1)
    logits, labels = torch.randn(2, 4, 8, 8), torch.randint(0, 4, (2, 8, 8))
    judged = torch.tensor([[True, True, False], [True, True, True]])
    both = merged_log_probabilities(logits, judged, INSIDE)
    for place in range(2):
        alone = merged_log_probabilities(logits[place : place + 1], judged[place : place + 1], INSIDE)
        torch.testing.assert_close(both[place : place + 1], alone)
    assert known_labels(labels, judged, INSIDE)[0].max() == WALL
    assert torch.equal(known_labels(labels, judged, INSIDE)[1], labels[1])


@pytest.mark.parametrize("judged", [[True, True, True], [True, False, False], [False, False, True]])
def test_without_an_unknown_part_it_is_the_loss_that_it_was_bit_by_bit(judged: list[bool]) -> None:
    torch.manual_seed(2)
    base, labels, known = torch.randn(1, 4, 8, 8), torch.randint(0, 4, (1, 8, 8)), torch.tensor([judged])
    for loss in (partial_loss, lambda mine, *rest: remembering_loss(mine, base, *rest)):
        nested, flat = (torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3)) for _ in range(2))
        a, b = loss(nested.requires_grad_(), labels, known, INSIDE), loss(flat.requires_grad_(), labels, known)
        assert torch.equal(a, b)
        assert torch.equal(pushed(nested, a), pushed(flat, b))


def test_how_the_base_divides_the_wall_is_remembered_inside_the_wall() -> None:
    torch.manual_seed(4)
    base, wall = torch.randn(1, 4, 8, 8), torch.full((1, 8, 8), WALL)
    assert float(remembering_loss(base.clone(), base, wall, NOT_THE_SCAR, INSIDE).abs()) < 1e-6
    gradient = pushed(logits := a_net_sure_of(SCAR), remembering_loss(logits, base, wall, NOT_THE_SCAR, INSIDE))
    assert float(gradient[:, [WALL, SCAR]].abs().max()) > 1e-4
    assert float(gradient[:, [0, POOL]].abs().max()) == 0.0
    outside = torch.zeros_like(wall)
    assert remembering_loss(logits, base, outside, NOT_THE_SCAR, INSIDE).item() == 0.0, "there is one class outside"


def test_the_curve_of_a_run_and_its_distances_count_scar_as_wall() -> None:
    volume, _ = a_heart(4)
    stage = Segment(SCARRED, SegmentSpec(size=64), 2.4)
    told, untold = (examples_of(volume, mask, SCARRED) for mask in (scarred_heart(), without_scar(scarred_heart())))
    net = Sees(torch.stack([stage.sample(example, None, NONE)[1] for example in told]))
    judged = Validation(stage, torch.device("cpu"), Alone(), 0)(net, untold, len(untold))
    assert dice_of(judged.counted) == {"lv_blood_pool": 1.0, "lv_myocardium": 1.0}
    assert border_figures(stage, judged.looks)["val_hd95_mm_lv_myocardium"] == 0.0


def test_the_figures_of_cases_entries_and_corrections_count_scar_as_wall() -> None:
    (volume, _), answer, truth = a_heart(4), scarred_heart(), without_scar(scarred_heart())
    bundle = SimpleNamespace(structures=SCARRED, spec=SimpleNamespace(prompts=None))
    always = cast(Pipeline, SimpleNamespace(bundle=bundle, run=lambda *_, **__: (answer, None)))
    assert score_case(always, volume, truth) == {"lv_blood_pool": 1.0, "lv_myocardium": 1.0}
    assert measure_case(always, volume, truth)["lv_myocardium"]["hd95_mm"] == 0.0
    assert score_answer(answer, truth, SCARRED, ("dice",))["dice"] == {"lv_blood_pool": 1.0, "lv_myocardium": 1.0}
    dice, changed = compare(encode_mask(answer), encode_mask(truth))
    assert dice == {"lv_blood_pool": 1.0, "lv_myocardium": 1.0}
    assert set(changed.values()) == {0}


def test_only_the_slices_on_which_nobody_looked_for_scar_are_changed() -> None:
    answer = scarred_heart()
    annotated = answer.annotated.copy()
    annotated[:, 1, answer.table.index("scar")] = False
    found = as_far_as_judged(answer, replace(answer, annotated=annotated))
    assert np.array_equal(found.labels[:, [0, 2]], answer.labels[:, [0, 2]])
    assert not (found.labels[:, 1] == 4).any()
    annotated[:, 1, answer.table.index("lv_myocardium")] = False
    assert np.array_equal(as_far_as_judged(answer, replace(answer, annotated=annotated)).labels, answer.labels)

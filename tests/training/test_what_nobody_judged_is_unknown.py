"""What you learn here: the loss asks only about what an expert looked at."""

from __future__ import annotations

import torch
from irp_training.domain.samples.loss import merged_log_probabilities, partial_loss, remembering_loss
from torch.nn import functional


def a_batch(judged: list[bool]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    logits = torch.randn(1, 4, 8, 8, requires_grad=True)
    labels = torch.randint(0, 4, (1, 8, 8))
    return logits, labels, torch.tensor([judged])


def test_a_slice_on_which_nothing_was_judged_gives_no_gradient() -> None:
    logits, labels, judged = a_batch([False, False, False])
    partial_loss(logits, labels, judged).backward()
    assert logits.grad is not None
    assert float(logits.grad.abs().max()) == 0.0


def test_with_everything_judged_it_is_cross_entropy_plus_dice() -> None:
    logits, labels, judged = a_batch([True, True, True])
    p = logits.softmax(1)
    truth = functional.one_hot(labels, 4).permute(0, 3, 1, 2).float()
    dice = (2 * (p * truth).sum((0, 2, 3)) + 1) / (p.sum((0, 2, 3)) + truth.sum((0, 2, 3)) + 1)
    expected = functional.cross_entropy(logits, labels) + 1 - dice[1:].mean()
    torch.testing.assert_close(partial_loss(logits, labels, judged), expected)


def test_where_only_the_cavity_was_drawn_the_rest_is_one_class() -> None:
    logits, labels, judged = a_batch([True, False, False])
    pool = (labels == 1).long()
    binary = torch.stack([torch.logsumexp(logits[:, [0, 2, 3]], dim=1), logits[:, 1]], dim=1)
    whole = partial_loss(binary, pool, torch.tensor([[True]]))
    torch.testing.assert_close(partial_loss(logits, labels, judged), whole)


def test_nothing_is_asked_about_how_the_rest_divides() -> None:
    logits, labels, judged = a_batch([True, False, False])
    partial_loss(logits, labels, judged).backward()
    assert logits.grad is not None
    share = logits.detach()[:, [0, 2, 3]].softmax(1)
    total = logits.grad[:, [0, 2, 3]].sum(1, keepdim=True)
    # The gradient moves the three only together: in proportion to their share of "the rest".
    torch.testing.assert_close(logits.grad[:, [0, 2, 3]], share * total, atol=1e-7, rtol=1e-4)


def test_labels_of_a_structure_that_was_not_judged_are_not_believed() -> None:
    logits, labels, judged = a_batch([True, False, True])
    other = torch.where(labels == 2, 0, labels)
    torch.testing.assert_close(partial_loss(logits, labels, judged), partial_loss(logits, other, judged))


def test_merged_probabilities_add_up_to_one() -> None:
    logits, _, judged = a_batch([False, True, False])
    torch.testing.assert_close(merged_log_probabilities(logits, judged).exp().sum(1), torch.ones(1, 8, 8))


def test_what_was_not_judged_stays_as_the_base_saw_it() -> None:
    logits, labels, judged = a_batch([True, False, False])
    base = torch.randn(1, 4, 8, 8)
    same = remembering_loss(base.clone(), base, labels, judged)
    moved = remembering_loss(logits, base, labels, judged)
    assert float(same.abs()) < 1e-6 < float(moved.detach())
    moved.backward()
    assert logits.grad is not None
    assert float(logits.grad[:, 1].abs().max()) < 1e-7, "the judged structure is learnt freely"
    cavity = (labels == 1)[:, None].expand_as(logits)
    assert float(logits.grad[cavity].abs().max()) == 0.0, "inside it nothing is remembered"


def test_with_everything_judged_nothing_is_remembered() -> None:
    logits, labels, judged = a_batch([True, True, True])
    assert float(remembering_loss(logits, torch.randn(1, 4, 8, 8), labels, judged)) == 0.0

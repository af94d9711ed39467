"""What you learn here: what the demo's reader takes over from a proposal, and where Dice is counted."""

from __future__ import annotations

import numpy as np
from irp_kernel import Geometry, LabelTable, Mask
from openirp.demo.dice import scores
from openirp.demo.wall import with_wall

GRID = Geometry(shape=(2, 8, 8), frames=2, affine=((0, 0, 1.4, 0), (0, 1.4, 0, 0), (8.0, 0, 0, 0), (0.0, 0, 0, 1.0)))


def an_expert() -> Mask:
    """Cavity on both frames, myocardium on frame 1 only, nothing on slice 1."""
    labels = np.zeros(GRID.array_shape, dtype=np.uint8)
    labels[:, 0, 3:5, 3:5] = 1
    labels[1, 0, 2:6, 2:6] = 2
    labels[1, 0, 3:5, 3:5] = 1
    return Mask.annotated_where_labelled(GRID, labels, LabelTable.canonical(["lv_blood_pool", "lv_myocardium"]))


def a_proposal(wall: int) -> Mask:
    labels = np.zeros(GRID.array_shape, dtype=np.uint8)
    labels[..., 3:5, 3:5] = 1
    labels[..., 3:5, 0:3] = wall
    return Mask.fully_annotated(GRID, labels, LabelTable.canonical(["lv_blood_pool", "lv_myocardium", "rv_blood_pool"]))


def test_the_models_wall_joins_only_where_the_cavity_was_judged_and_never_covers_it() -> None:
    expert = an_expert()
    joined = with_wall(expert, a_proposal(wall=2))
    assert joined is not None
    for name in joined.table.names:
        assert np.argwhere(joined.judged(name)).tolist() == [[0, 0], [1, 0]]
    assert np.array_equal(joined.of("lv_blood_pool"), expert.of("lv_blood_pool"))
    assert joined.of("lv_myocardium").sum() == 2 * 6  # columns 0 to 2 of both frames


def test_without_a_wall_nothing_is_taken_over() -> None:
    assert with_wall(an_expert(), a_proposal(wall=0)) is None


def test_dice_counts_only_what_the_expert_judged() -> None:
    by_name = {score.structure: score for score in scores(an_expert(), a_proposal(wall=3))}
    assert by_name["lv_blood_pool"].dice == 1.0
    assert by_name["lv_blood_pool"].images == 2
    assert by_name["lv_myocardium"].dice == 0.0
    assert by_name["lv_myocardium"].images == 1

"""What you learn here: where experts saw no scar, who sees none is right, and who makes it up loses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from irp_kernel import Geometry, LabelTable, Mask
from irp_training.domain.challenges.challenge import METRICS, CaseScore, Metric
from irp_training.domain.challenges.leaderboard import rank
from irp_training.domain.challenges.scoring import score_answer

SCARRED = ("lv_blood_pool", "lv_myocardium", "scar")
GEOMETRY = Geometry(shape=(2, 40, 40), affine=((8, 0, 0, 0), (0, 1.5, 0, 0), (0, 0, 1.5, 0), (0, 0, 0, 1)))
DIAGONAL_MM = math.hypot(60.0, 60.0)


def a_ring(scar: bool = False, aside: int = 0, structures: tuple[str, ...] = SCARRED) -> Mask:
    labels = np.zeros(GEOMETRY.array_shape, np.uint8)
    labels[..., 10:30, 10 + aside : 30 + aside] = 2
    labels[..., 15:25, 15:25] = 1
    if scar:
        labels[..., 11:13, 12:20] = 4
    return Mask.fully_annotated(GEOMETRY, labels, LabelTable.canonical(structures))


def cases_of(answer: Mask | None, truth: Mask, metrics: tuple[Metric, ...] = METRICS) -> list[CaseScore]:
    values = score_answer(answer, truth, SCARRED, metrics)
    return [CaseScore(series=f"1.{n}", patient=f"p{n}", values=values, missing=answer is None) for n in range(3)]


@pytest.mark.parametrize(
    ("answer", "dice", "hd95_mm"),
    [
        (a_ring(), 1.0, 0.0),
        (a_ring(structures=SCARRED[:2]), 1.0, 0.0),
        (a_ring(scar=True), 0.0, DIAGONAL_MM),
        (None, 0.0, DIAGONAL_MM),
    ],
)
def test_seeing_none_is_right_where_experts_saw_none(answer: Mask | None, dice: float, hd95_mm: float) -> None:
    values = score_answer(answer, a_ring(), SCARRED, METRICS)
    assert values["dice"]["scar"] == dice
    assert values["hd95"]["scar"] == pytest.approx(hd95_mm)


def test_what_nobody_looked_for_is_not_counted() -> None:
    values = score_answer(a_ring(scar=True), a_ring(structures=SCARRED[:2]), SCARRED, METRICS)
    assert {tuple(column) for column in values.values()} == {SCARRED[:2]}


@pytest.mark.parametrize("metrics", [("dice",), ("hd95",), METRICS])
def test_an_entry_that_makes_scar_up_stands_behind_one_that_sees_none(metrics: tuple[Metric, ...]) -> None:
    scored = {name: cases_of(a_ring(scar=made_up), a_ring(), metrics) for name, made_up in (("a", True), ("b", False))}
    rows = rank(scored, metrics, ("scar",))
    assert [(row.entry, row.position, row.mean_rank) for row in rows] == [("b", 1, 1.0), ("a", 2, 2.0)]
    assert all(math.isfinite(figure.mean) for row in rows for figure in row.figures)


def test_scores_that_leave_out_what_was_rightly_not_seen_count_as_right() -> None:
    right = [CaseScore(series=one.series, patient=one.patient, values={}) for one in cases_of(a_ring(), a_ring())]
    rows = rank({"a": cases_of(a_ring(scar=True), a_ring()), "b": right}, METRICS, ("scar",))
    assert [(row.entry, row.figures[0].mean, row.figures[1].mean) for row in rows] == [
        ("b", 1.0, 0.0),
        ("a", 0.0, pytest.approx(DIAGONAL_MM)),
    ]


@pytest.mark.parametrize("metric", METRICS)
def test_a_figure_that_is_unknown_is_the_worst(metric: Metric) -> None:
    silent = [CaseScore(series=f"1.{n}", patient=f"p{n}", values={}, missing=True) for n in range(3)]
    rows = rank({"silent": silent, "b": cases_of(a_ring(scar=True), a_ring())}, (metric,), ("scar",))
    assert [row.entry for row in rows] == ["b", "silent"]
    assert math.isnan(rows[1].figures[0].mean)

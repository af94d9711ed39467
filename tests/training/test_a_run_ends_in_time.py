"""What you learn here: a run stops when it gets no better or its time or money is spent, and keeps its best pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from irp_bundle import read_bundle
from irp_training.domain.learning.best import Best
from irp_training.domain.learning.lesson import Lesson
from irp_training.domain.learning.limits import Meter
from irp_training.domain.learning.plan import Outcome, Plan, Said
from irp_training.domain.price import Price
from training_builders import TINY, a_plan, some_files

# A high rate and an average that follows at once: on so small a heart the curve soon falls again.
RESTLESS = replace(TINY, locate_epochs=1, segment_epochs=8, segment_rate=0.05, checkpoint_epochs=1, patience=2)


def a_clock(step_s: float = 1.0) -> Callable[[], float]:
    return itertools.count(0.0, step_s).__next__


def learn(plan: Plan, checkpoint: bytes | None = None) -> tuple[Outcome, list[Said]]:
    said: list[Said] = []
    return Lesson(plan, said.append, a_clock())(some_files(), checkpoint), said


def mean_dice(said: list[Said]) -> dict[int, float]:
    curves: dict[int, list[float]] = {}
    for metric in (m for one in said for m in one.metrics if m.name.startswith("val_dice_")):
        curves.setdefault(metric.epoch, []).append(metric.value)
    return {epoch: sum(values) / len(values) for epoch, values in curves.items()}


def test_a_run_that_gets_no_better_stops_and_keeps_its_best_pass_also_when_it_was_killed() -> None:
    outcome, said = learn(a_plan(RESTLESS))
    curve = {epoch: dice for epoch, dice in mean_dice(said).items() if epoch > 1}
    best = max(curve, key=lambda epoch: (curve[epoch], -epoch))
    last = max(curve)
    assert last == best + RESTLESS.patience < 1 + RESTLESS.segment_epochs
    assert outcome.remarks[-1].startswith(f"segment ended after pass {last - 1} of 8: no pass was better for 2")
    assert f"pass {best - 1} is kept" in outcome.remarks[-1]

    resumed, rest = learn(a_plan(RESTLESS), next(one.checkpoint for one in said if one.metrics[0].epoch == best))
    assert resumed.bundle == outcome.bundle
    assert resumed.remarks == outcome.remarks
    assert [m.epoch for one in rest for m in one.metrics[:1]] == list(range(best + 1, last + 1))


def test_a_limit_of_time_counts_what_earlier_attempts_took() -> None:
    # The clock says one second per look: the limit falls into stage 2, and stage 1 keeps to its share.
    recipe = replace(TINY, locate_epochs=40, segment_epochs=40, max_minutes=0.5, checkpoint_epochs=1)
    outcome, said = learn(a_plan(recipe))
    stages = [one.progress.step.split(":")[0] for one in said]
    assert 0 < stages.count("locate") < stages.count("segment") < 40
    assert "its share of `max_minutes` (0.5)" in outcome.remarks[0]
    assert "`max_minutes` (0.5) was reached" in outcome.remarks[1]
    assert 30 <= said[-1].spent_s < 40

    middle = said[len(said) // 2]
    again, rest = learn(replace(a_plan(recipe), spent_s=middle.spent_s), middle.checkpoint)
    assert len(rest) <= len(said) - len(said) // 2
    assert said[-1].spent_s - 10 < rest[-1].spent_s < 40
    assert again.remarks[-1].startswith("segment ended")


def test_a_limit_that_is_not_reached_changes_no_weight() -> None:
    free, bound = (read_bundle(learn(a_plan(recipe))[0].bundle) for recipe in (TINY, replace(TINY, max_minutes=1000.0)))
    for role, weights in free.weights.items():
        assert all(torch.equal(bound.weights[role][name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize(
    ("spent_s", "words"), [(1799.0, ""), (1801.0, "`max_cost` (2 EUR) was reached"), (3601.0, "`max_minutes` (60)")]
)
def test_an_hour_has_a_price(spent_s: float, words: str) -> None:
    recipe = replace(TINY, max_minutes=60.0, max_cost=2.0)
    reached = Meter(recipe, Price(per_hour=4.0, currency="EUR"), spent_s, lambda: 0.0).reached()
    assert reached.startswith(words)
    assert bool(reached) is bool(words)


def test_where_nothing_is_judged_nothing_can_get_worse() -> None:
    best = Best()
    best.see(1, {}, {})
    assert best.waited(9) == 0
    best.see(2, {"a": 0.5}, {"w": torch.ones(1)})
    best.see(3, {"a": 0.5}, {"w": torch.zeros(1)})
    assert (best.epoch, best.waited(4)) == (2, 2)

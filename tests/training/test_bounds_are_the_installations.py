"""What you learn here: how strict the gate is, the installation says; who starts a run can only make it stricter."""

from __future__ import annotations

import json
from typing import Any

import pytest
from irp_training.domain.errors import BadRecipe
from irp_training.domain.judging.bounds import Bounds
from irp_training.domain.recipes.reading import read_recipe
from irp_training.domain.recipes.recipe import Recipe
from irp_training.settings import Settings

INSTALLED = Bounds(margin=0.02, way="auto", subgroup_margin=0.05, calibration_margin=0.0, latency_ratio=3.0)


def read(bounds: Bounds = INSTALLED, **given: Any) -> Recipe:
    return read_recipe(json.dumps(given), fine_tuning=True, structures={}, bounds=bounds)


def test_a_recipe_that_says_nothing_has_the_bounds_of_the_installation() -> None:
    assert read().bounds == INSTALLED
    assert read_recipe("", fine_tuning=False, structures={}).bounds == Bounds()


def test_a_recipe_may_be_stricter_than_the_installation() -> None:
    asked = read(margin=0.0, gate="bootstrap", subgroup_margin=0.01, calibration_margin=0.1, latency_ratio=1.5)
    assert asked.bounds == Bounds(
        margin=0.0, way="bootstrap", subgroup_margin=0.01, calibration_margin=0.1, latency_ratio=1.5
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"margin": 1}, "`margin` is at most 0.02 here"),
        ({"gate": "mean"}, "`gate` is one of auto, bootstrap here"),
        ({"subgroup_margin": 0}, "`subgroup_margin` is above 0 and at most 0.05 here"),
        ({"subgroup_margin": 0.06}, "`subgroup_margin` is above 0 and at most 0.05 here"),
        ({"latency_ratio": 0}, "`latency_ratio` is above 0 and at most 3 here"),
    ],
)
def test_a_recipe_that_is_looser_is_refused_and_told_the_bound(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRecipe, match=said):
        read(**given)


def test_what_was_frozen_when_bounds_were_looser_is_judged_by_those_of_today() -> None:
    frozen = Bounds(margin=1.0, way="mean", subgroup_margin=0.0, calibration_margin=0.0, latency_ratio=0.0)
    assert Bounds().tightened(frozen) == Bounds()
    assert Bounds().tightened(Bounds(margin=0.001, way="bootstrap")) == Bounds(margin=0.001, way="bootstrap")


def test_an_operator_says_the_bounds_by_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().bounds == Bounds()
    for name, value in (("MARGIN", "0.02"), ("GATE", "bootstrap"), ("SUBGROUP_MARGIN", "0")):
        monkeypatch.setenv(f"IRP_TRAINING_{name}", value)
    assert Settings().bounds == Bounds(margin=0.02, way="bootstrap", subgroup_margin=0.0)

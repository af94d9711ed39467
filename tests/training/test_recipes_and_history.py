"""What you learn here: a recipe is checked key by key, and champions form a pile."""

from __future__ import annotations

import pytest
from irp_kernel.mask import VALUE_OF
from irp_training.domain.automation import TrainByItself
from irp_training.domain.errors import BadRecipe, NoEarlierChampion
from irp_training.domain.recipe import FINE_TUNING, FROM_SCRATCH, read_frozen, read_recipe
from irp_training.domain.registry import Promotion, champion, earlier_champion


def read(text: str, *, fine_tuning: bool = True):
    return read_recipe(text, fine_tuning=fine_tuning, structures=VALUE_OF)


def test_an_empty_recipe_is_the_default_of_its_kind() -> None:
    assert read("") == FINE_TUNING
    assert read("{}", fine_tuning=False) == FROM_SCRATCH
    assert FINE_TUNING.stages == ("segment",)


def test_a_frozen_recipe_reads_back_as_itself() -> None:
    recipe = read('{"seed": 3, "structures": ["lv_blood_pool"], "segment_rate": 0.001}')
    assert read_frozen(recipe.to_json()) == recipe


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        '{"sead": 1}',
        '{"batch": 0}',
        '{"batch": 1.5}',
        '{"seed": true}',
        '{"stages": ["guess"]}',
        '{"stages": []}',
        '{"structures": ["liver"]}',
        '{"segment_channels": "wide"}',
    ],
)
def test_a_wrong_recipe_is_refused(text: str) -> None:
    with pytest.raises(BadRecipe):
        read(text)


def test_a_run_from_scratch_needs_both_stages() -> None:
    with pytest.raises(BadRecipe):
        read('{"stages": ["segment"]}', fine_tuning=False)


def test_rollbacks_walk_down_the_pile() -> None:
    history = [Promotion(1, 1, "promote"), Promotion(2, 2, "promote"), Promotion(3, 3, "promote")]
    assert champion(history) == 3
    assert earlier_champion(history) == 2
    history.append(Promotion(4, 2, "rollback"))
    assert champion(history) == 2
    assert earlier_champion(history) == 1
    history += [Promotion(5, 4, "promote"), Promotion(6, 2, "rollback")]
    assert champion(history) == 2


def test_the_first_champion_cannot_be_rolled_back() -> None:
    with pytest.raises(NoEarlierChampion):
        earlier_champion([Promotion(1, 1, "promote")])
    assert champion([]) is None


def test_a_project_may_change_the_recipe_of_runs_that_begin_by_themselves() -> None:
    train = {"after_masks": 5, "base": "cine", "model": "cine", "recipe": {"margin": 0.02, "segment_epochs": 4.0}}
    declared = TrainByItself.from_configuration({"automation": {"train": train}})
    assert declared is not None
    recipe = read_recipe(declared.recipe, fine_tuning=True, structures=VALUE_OF)
    assert (recipe.margin, recipe.segment_epochs, recipe.remember) == (0.02, 4, FINE_TUNING.remember)

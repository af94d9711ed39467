"""What you learn here: a recipe that the training server reads can stand in a project's configuration."""

from __future__ import annotations

import json
from typing import Any

import pytest
from irp_gateway.domain import configuration
from irp_gateway.domain.configuration import read_configuration
from irp_kernel.mask import VALUE_OF
from irp_training.domain.datasets.automation import TrainByItself
from irp_training.domain.recipes import recipe as recipes
from irp_training.domain.recipes.reading import read_recipe

STUDY = {"name": "heart-study", "structures": [{"name": "cavity", "canonical": "lv_blood_pool"}]}


@pytest.mark.parametrize(
    "recipe",
    [
        {"segment_channels": [8, 16, 32]},
        {"structures": ["scar"], "precisions": []},
        {"batch": 4, "margin": 0.01, "configure": "fingerprint", "dimensions": 3},
    ],
)
def test_what_a_run_may_be_asked_for_a_project_may_ask_for_by_itself(recipe: dict[str, Any]) -> None:
    train = {"model": "cine", "after_masks": 5, "recipe": recipe}
    kept = json.loads(read_configuration(STUDY | {"automation": {"train": train}}).canonical_json())
    wish = TrainByItself.from_configuration(kept)
    assert wish is not None
    read = read_recipe(wish.recipe, fine_tuning=False, structures=VALUE_OF)
    assert read == read_recipe(json.dumps(recipe), fine_tuning=False, structures=VALUE_OF)


def test_both_rooms_have_the_same_bound() -> None:
    assert configuration.RECIPE_LIMIT == recipes.RECIPE_LIMIT

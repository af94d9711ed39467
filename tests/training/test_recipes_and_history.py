"""What you learn here: a recipe is checked key by key, and champions form a pile."""

from __future__ import annotations

import json

import pytest
import torch
from irp_bundle import Bundle, LocateSpec, Normalise, PipelineSpec, PromptsSpec, SegmentSpec
from irp_kernel.mask import VALUE_OF
from irp_training.domain.datasets.automation import TrainByItself
from irp_training.domain.errors import BadRecipe, NoEarlierChampion, PipelineNotLearnt
from irp_training.domain.learning.card import model_card
from irp_training.domain.networks.build import definitions, fresh
from irp_training.domain.recipes.reading import read_recipe
from irp_training.domain.recipes.recipe import FINE_TUNING, FROM_SCRATCH, read_frozen
from irp_training.domain.registry.registry import Promotion, champion, earlier_champion
from training_builders import HEART


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
        '{"batch": -1}',
        '{"amp": "fp8"}',
        '{"patience": -1}',
        '{"max_minutes": -1}',
        '{"batch": 1.5}',
        '{"seed": true}',
        '{"stages": ["guess"]}',
        '{"stages": []}',
        '{"structures": ["liver"]}',
        '{"segment_channels": "wide"}',
        '{"segment_size": 100}',
        '{"segment_size": 48}',
        '{"window": 0.5}',
        '{"stretch": 2}',
        '{"upright": -0.1}',
        '{"notes": 1}',
        '{"structures": ["scar", "scar"]}',
        '{"stages": ["segment", "segment"]}',
        '{"frozen": ["encoder", "encoder"]}',
        '{"precisions": ["int8", "int8"]}',
        '{"locate_channels": [8, 0]}',
        '{"segment_channels": [8, -1]}',
        '{"segment_channels": [8, 1000000000]}',
        '{"segment_channels": [8]}',
        "[" * 100_000,
        '{"notes": ' + "[" * 100_000,
        " " * 1_000_000,
    ],
)
def test_a_wrong_recipe_is_refused(text: str) -> None:
    with pytest.raises(BadRecipe):
        read(text)


@pytest.mark.parametrize(
    ("text", "sees"),
    [
        ('{"segment_channels": [8, 16, 32, 64, 128, 256], "segment_size": 144}', "not 144"),
        ('{"segment_channels": [8, 8, 8, 8, 8, 8, 8], "segment_size": 160}', "not 160"),
        ('{"segment_channels": [8, 8, 8, 8, 8, 8, 8], "segment_size": 64}', "not 64"),  # one cell would be left
        ('{"segment_channels": [8, 8, 8, 8, 8, 8, 8, 8], "segment_size": 0}', "not 128"),
        ('{"segment_channels": [8, 8, 8, 8, 8, 8], "segment_size": 144, "configure": "fingerprint"}', "not 144"),
        ('{"locate_channels": [8, 8, 8, 8, 8, 8, 8, 8]}', "not 128"),
        ('{"locate_channels": []}', "not empty"),
    ],
)
def test_a_net_deeper_than_its_grid_can_be_halved_is_refused_before_it_learns(text: str, sees: str) -> None:
    with pytest.raises(BadRecipe, match=sees):
        read(text, fine_tuning=False)


@pytest.mark.parametrize("levels", range(2, 9))
@pytest.mark.parametrize("size", [64, 144, 160, 256])
def test_every_net_that_a_recipe_may_ask_for_learns(levels: int, size: int) -> None:
    try:
        recipe = read(json.dumps({"segment_channels": [2] * levels, "segment_size": size}), fine_tuning=False)
    except BadRecipe:
        return
    net = fresh(definitions(recipe, HEART, None)["network_def"], 0).train()
    assert net(torch.rand(1, 1, size, size)).shape == (1, 4, size, size)


def test_a_run_that_takes_a_net_over_is_refused_where_the_net_cannot_halve_the_window() -> None:
    base = a_base(PipelineSpec())
    base.config["network_def"]["strides"] = [2] * 5
    own = read('{"pipeline": "own", "segment_size": 144}')
    with pytest.raises(BadRecipe, match="32 x 32"):
        definitions(own, HEART, base)


def a_base(spec: PipelineSpec, *, members: int = 1, locate: bool = True) -> Bundle:
    roles = ["model", *(["locate"] if locate else []), *(f"model.{number}" for number in range(2, members + 1))]
    return Bundle(
        digest="",
        metadata={},
        config={"network_def": {"out_channels": 4}, "irp_pipeline": spec.to_json()},
        weights={role: {} for role in roles},
        card="",
        licence="",
        spec=spec,
        channels=("background", *HEART),
    )


def test_a_run_keeps_the_window_of_its_base_unless_the_recipe_names_another() -> None:
    base = a_base(PipelineSpec(segment=SegmentSpec(size=192), locate=LocateSpec(margin=2.2)))
    kept = definitions(read("{}"), HEART, base)["irp_pipeline"]
    assert (kept["segment"]["size"], kept["locate"]["margin"]) == ([192, 192], 2.2)
    changed = definitions(read('{"window": 1.9, "segment_size": 160}'), HEART[:2], base)
    assert (changed["irp_pipeline"]["segment"]["size"], changed["irp_pipeline"]["locate"]["margin"]) == (
        [160, 160],
        1.9,
    )
    assert changed["network_def"]["out_channels"] == 3


@pytest.mark.parametrize(
    "base",
    [
        a_base(PipelineSpec(orientation="LF")),
        a_base(PipelineSpec(segment=SegmentSpec(dimension="2.5d"))),
        a_base(PipelineSpec(segment=SegmentSpec(spacing=1.0))),
        a_base(PipelineSpec(locate=LocateSpec(normalise=Normalise(kind="none")))),
        a_base(PipelineSpec(), members=2),
        a_base(PipelineSpec(prompts=PromptsSpec())),
        a_base(PipelineSpec(), locate=False),
        a_base(PipelineSpec(segment=SegmentSpec(dimension="3d")), locate=False),
        a_base(PipelineSpec(orientation="LF", segment=SegmentSpec(dimension="3d"))),
    ],
)
def test_a_base_whose_inputs_the_lessons_do_not_make_is_refused(base: Bundle) -> None:
    with pytest.raises(PipelineNotLearnt):
        definitions(read("{}"), HEART, base)


@pytest.mark.parametrize(("recipe", "looks"), [("{}", 7), ('{"upright": 1}', 0), ('{"augment": 0}', 0)])
def test_a_network_that_learnt_in_every_lay_says_so(recipe: str, looks: int) -> None:
    assert len(definitions(read(recipe), HEART, None)["irp_pipeline"]["augment"]) == looks


def test_the_card_tells_how_the_recipe_was_found_beside_its_numbers() -> None:
    recipe = read('{"notes": "Found by trying.", "stretch": 0.3}')
    card = model_card(name="lge", recipe=recipe, base="cine@1", digest="0", structures=HEART, figures={})
    numbers = json.loads(card.split("```json")[1].split("```")[0])
    assert numbers["stretch"] == 0.3
    assert "notes" not in numbers
    assert card.count("Found by trying.") == 1


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
    train = {"after_masks": 5, "base": "cine", "model": "cine", "recipe": {"margin": 0.005, "segment_epochs": 4.0}}
    declared = TrainByItself.from_configuration({"automation": {"train": train}})
    assert declared is not None
    recipe = read_recipe(declared.recipe, fine_tuning=True, structures=VALUE_OF)
    assert (recipe.margin, recipe.segment_epochs, recipe.remember) == (0.005, 4, FINE_TUNING.remember)

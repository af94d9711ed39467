"""What you learn here: a run may start from any net, let parts of it rest, and keep what it knew about old cases."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from irp_bundle import build_network, read_bundle, write_bundle
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_kernel import Mask, ObjectRef, Volume
from irp_training.adapters.db import METADATA
from irp_training.adapters.store import SqlStore
from irp_training.app.approvals import Approvals
from irp_training.app.configuration import Configurations
from irp_training.app.create_dataset import CreateDataset
from irp_training.app.finish_run import FinishRun
from irp_training.app.keep_apart import KeepApart
from irp_training.app.ports import Project
from irp_training.app.register_model import RegisterModel
from irp_training.app.start_run import StartRun, Wish
from irp_training.app.train_run import Terms, TrainRun
from irp_training.app.work_ports import CaseFiles, Listener
from irp_training.domain.datasets.dataset import Entry, Snapshot
from irp_training.domain.datasets.replay import replayed, to_replay
from irp_training.domain.errors import BadRecipe, NothingToReplay, PatientLeak, PipelineNotLearnt
from irp_training.domain.feeding.batches import Batches
from irp_training.domain.feeding.ranks import Alone
from irp_training.domain.learning.curriculum import Curriculum
from irp_training.domain.learning.lesson import Lesson
from irp_training.domain.learning.plan import Outcome, Plan, Said
from irp_training.domain.learning.pupils import read_pupils
from irp_training.domain.learning.trainer import Trainer
from irp_training.domain.networks.build import adopt, definitions, fresh
from irp_training.domain.networks.rates import Rates, layers_of
from irp_training.domain.recipes.reading import read_recipe
from irp_training.domain.recipes.recipe import Recipe
from irp_training.domain.run import Progress
from irp_training.domain.samples.examples import Example, examples_of
from irp_training.domain.samples.stages import Stage
from monai.networks.nets.unet import UNet
from sqlalchemy import MetaData
from torch import nn
from training_builders import HEART, TINY, a_case, a_heart, a_plan, case_files, some_files

from tests.bundle.zoo_bundles import a_zoo_bundle, a_zoo_config, a_zoo_net

CPU = torch.device("cpu")
NET = {"spatial_dims": 2, "in_channels": 1, "channels": [4, 8, 8], "strides": [2, 2], "num_res_units": 1}
LEFT = HEART[:2]


def a_net(outputs: int = 4) -> UNet:
    torch.manual_seed(0)
    return UNet(out_channels=outputs, **NET)


def learnt(recipe: Recipe, base: bytes = b"", **parts: int) -> Outcome:
    return Lesson(a_plan(recipe, base), lambda said: None)(some_files(**parts), None)


@pytest.fixture(scope="module")
def cine() -> bytes:
    """A bundle of the house with random weights: blood pool, wall, right ventricle."""
    segment, locate = ({"_target_": "UNet", "out_channels": n, **NET} for n in (4, 2))
    torch.manual_seed(1)
    states = [build_network(definition).state_dict() for definition in (segment, locate)]
    config = {"network_def": segment, "locate_def": locate, "irp_pipeline": {"segment": {"size": 64}}}
    return write_bundle("cine", *states, config, {"structures": list(HEART)}, "A card.", "CC0-1.0")


def test_layers_are_counted_as_they_run_and_an_encoder_ends_where_the_grid_is_coarsest() -> None:
    net, image = a_net(), torch.zeros(1, 1, 32, 32)
    layers = layers_of(net, image)
    assert [layer.cells for layer in layers][:1] == [16 * 16]
    assert layers[-1].name.startswith("model.2")  # the head
    rates = Rates(net, image, ("encoder",))
    still = {name for name, parameter in net.named_parameters() if not parameter.requires_grad}
    assert any(name.startswith("model.0.") for name in still)
    assert not any(name.startswith("model.2.") for name in still)
    assert sum(len(group["params"]) for group in rates.groups) + len(still) == len(list(net.parameters()))


def test_rates_fall_from_the_head_and_frozen_layers_gather_no_statistics() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1))
    image = torch.randn(1, 1, 4, 4)
    rates = Rates(net, image, ("0", "1"), 0.5)
    assert [(group["share"], len(group["params"])) for group in rates.groups] == [(0.5, 2), (1.0, 2)]
    net.train()
    rates.keep_still()
    net(image)
    assert not net[1].running_mean.any()  # type: ignore[union-attr, operator]
    with pytest.raises(BadRecipe, match="names no layer"):
        Rates(net, image, ("nothing",))
    with pytest.raises(BadRecipe, match="leaves nothing"):
        Rates(net, image, ("0", "1", "2", "3"))


def test_a_frozen_encoder_is_the_bases_after_learning(cine: bytes) -> None:
    base = read_bundle(cine)
    recipe = replace(TINY, stages=("segment",), segment_epochs=1, frozen=("encoder",), layer_decay=0.5, segment_size=0)
    taught = Curriculum(recipe, base)
    (stage,) = taught.stages
    trainer = Trainer(taught.net(stage), stage, slices_of([a_heart(1)], HEART), recipe, CPU)
    assert list(trainer.epoch())
    before, after = base.build("segment").state_dict(), trainer.weights()
    same = {name for name, tensor in after.items() if torch.equal(tensor, before[name])}
    assert any(name.startswith("model.0.") for name in same)
    assert not any(name.startswith("model.2.") and name.endswith("conv.weight") for name in same)


def test_a_net_that_lists_its_layers_twice_is_averaged_once() -> None:
    shape = {"strides": [1, 2, 2], "kernel_size": [3, 3, 3], "upsample_kernel_size": [2, 2], "filters": [4, 8, 8]}
    definition = {"_target_": "DynUNet", "spatial_dims": 2, "in_channels": 1, "out_channels": 4, **shape}
    recipe = replace(TINY, segment_epochs=1, min_steps=1, batch=2)
    net = fresh(definition, 1)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    trainer = Trainer(net, segment_stage(recipe), slices_of([a_heart(1, slices=2)], HEART), recipe, CPU)
    assert list(trainer.epoch())
    name = "input_block.conv1.conv.weight"
    expected = torch.lerp(before[name], net.state_dict()[name], 1 - 1 / 10)  # the first step's share of the past
    torch.testing.assert_close(trainer.weights()[name], expected, atol=1e-7, rtol=1e-6)


def test_cine_becomes_lge_by_the_names_of_its_structures(cine: bytes) -> None:
    base, structures = read_bundle(cine), ("lv_myocardium", "scar", "lv_blood_pool")
    net = adopt(base, definitions(replace(TINY, segment_size=0), structures, base)["network_def"], structures, seed=3)
    old, new = base.build("segment").state_dict(), net.state_dict()
    head = "model.2.0.conv.weight"  # transposed: (in, out, row, column)
    pool, wall = base.channels.index("lv_blood_pool"), base.channels.index("lv_myocardium")
    assert torch.equal(new[head][:, [0, 1, 3]], old[head][:, [0, wall, pool]])
    assert not any(torch.equal(new[head][:, 2], old[head][:, place]) for place in range(4))  # scar is new
    assert torch.equal(new["model.0.conv.unit0.conv.weight"], old["model.0.conv.unit0.conv.weight"])


def test_a_net_from_elsewhere_is_taken_into_the_pipeline_of_the_house() -> None:
    data = a_zoo_bundle(a_zoo_config(), a_zoo_net())
    with pytest.raises(PipelineNotLearnt):
        Curriculum(replace(TINY, segment_size=64), read_bundle(data))
    recipe = replace(TINY, locate_epochs=1, segment_epochs=1, pipeline="own", segment_size=64)
    outcome = learnt(recipe, data, training=1)
    after = read_bundle(outcome.bundle)
    assert after.structures == ("lv_blood_pool", "lv_myocardium", "rv_blood_pool")
    assert (after.stages, after.spec.segment.slide) == (("locate", "segment"), False)
    (case,) = outcome.cases
    assert set(case["before"]) == set(case["after"])  # the base was judged in its own pipeline


def negative(volume: Volume) -> Volume:
    """The same heart in another light: what was bright is dark."""
    return Volume(geometry=volume.geometry, array=(400 - volume.array).astype(np.float32))


def slices_of(hearts: list[tuple[Volume, Mask]], structures: tuple[str, ...] = LEFT) -> list[Example]:
    return [example for volume, mask in hearts for example in examples_of(volume, mask, structures)]


def trained(recipe: Recipe, new: list[Example], old: list[Example], weights: dict[str, torch.Tensor] | None) -> Trainer:
    torch.manual_seed(0)
    net = UNet(spatial_dims=2, in_channels=1, out_channels=3, channels=(8, 16, 32), strides=(2, 2), num_res_units=1)
    net.load_state_dict(weights or net.state_dict())
    trainer = Trainer(net, segment_stage(recipe), new, recipe, CPU, old=old)
    assert list(trainer.epoch())
    return trainer


def segment_stage(recipe: Recipe) -> Stage:
    return Curriculum(recipe, None).stages[-1]


def test_without_replay_old_cases_get_worse_and_with_it_they_do_not() -> None:
    recipe = replace(TINY, structures=LEFT, segment_epochs=1, min_steps=40, batch=4, segment_rate=1e-2)
    recipe = replace(recipe, ema=0.8, augment=0.0, segment_size=32)
    hearts, others = ([a_heart(seed, slices=2) for seed in seeds] for seeds in (range(4), (20, 21)))
    old, new = slices_of(hearts), slices_of([(negative(v), m) for v, m in hearts])
    old_held_out, new_held_out = slices_of(others), slices_of([(negative(v), m) for v, m in others])

    def dice(trainer: Trainer, examples: list[Example]) -> float:
        return float(np.mean(list(trainer.validate(examples).values())))

    base = trained(recipe, old, [], None)
    forgetful = trained(recipe, new, [], base.weights())
    faithful = trained(replace(recipe, replay=0.5), new, old, base.weights())
    before = dice(base, old_held_out)
    assert before > 0.9
    assert dice(base, new_held_out) < 0.5
    assert dice(forgetful, new_held_out) > 0.9
    assert dice(forgetful, old_held_out) < before - 0.2
    assert dice(faithful, new_held_out) > 0.9
    assert dice(faithful, old_held_out) > before - 0.02


def test_a_batch_holds_its_share_of_old_cases_whoever_draws_it() -> None:
    assert [replayed(12, share) for share in (0.0, 0.01, 0.25, 0.9)] == [0, 1, 3, 11]
    recipe = replace(TINY, structures=LEFT, batch=4, replay=0.5, augment=0.0)
    stage = segment_stage(recipe)
    volume, mask = a_heart(1, slices=1)
    new, old = slices_of([(volume, mask)]), slices_of([(negative(volume), mask)])

    class Second(Alone):
        rank, size = 1, 2

    alone = Batches(stage, new, recipe, Alone(), old).draw(0)
    second = Batches(stage, new, recipe, Second(), old).draw(0)
    assert [torch.equal(one[0], alone[0][0]) for one in alone] == [True, True, False, False]
    assert all(torch.equal(one[0], other[0]) for one, other in zip(alone[2:], second, strict=True))


@pytest.mark.parametrize(("replay", "steps"), [(0.0, 3), (0.25, 4), (0.5, 6), (0.9, 12)])
def test_a_pass_shows_each_new_case_once_however_many_old_ones_are_shown_beside(replay: float, steps: int) -> None:
    class Seen:
        name, structures = "segment", LEFT

        def sample(self, example: int, *_: object) -> int:
            return example

    recipe = replace(TINY, batch=4, min_steps=1, replay=replay)
    new, old = (cast("list[Example]", numbers) for numbers in (range(12), range(100, 140)))
    batches = Batches(cast(Stage, Seen()), new, recipe, Alone(), old)
    assert batches.per_epoch == steps
    shown = [cast(int, sample) for step in range(steps) for sample in batches.draw(step)]
    assert sorted(sample for sample in shown if sample < 100) == list(range(12))


def test_a_base_with_dropout_is_learnt_further_and_a_killed_run_ends_as_if_it_had_not_been() -> None:
    definitions_ = [{"_target_": "UNet", "out_channels": n, **NET, "dropout": 0.2} for n in (4, 2)]
    torch.manual_seed(1)
    states = [build_network(definition).state_dict() for definition in definitions_]
    config = {"network_def": definitions_[0], "locate_def": definitions_[1]}
    config |= {"irp_pipeline": {"segment": {"size": 64}}}
    base = write_bundle("cine", *states, config, {"structures": list(HEART)}, "A card.", "CC0-1.0")
    recipe = replace(TINY, stages=("segment",), segment_epochs=2, segment_size=0, checkpoint_epochs=1)
    said: list[Said] = []
    whole = Lesson(a_plan(recipe, base), said.append)(some_files(), None)
    torch.manual_seed(99)  # another process
    checkpoint = next(one.checkpoint for one in said if one.checkpoint)
    resumed = Lesson(a_plan(recipe, base), lambda said: None)(some_files(), checkpoint)
    assert resumed.bundle == whole.bundle


def test_what_is_replayed_is_nobodys_who_is_kept_out() -> None:
    old = Snapshot("p", tuple(Entry("training", a_case(number)) for number in (1, 2, 3)))
    new = Snapshot("p", (Entry("training", a_case(2)), Entry("validation", a_case(9))))
    assert [case.series for case in to_replay(new, [old, old])] == ["1.2.1", "1.2.3"]
    leaky = Snapshot("p", (Entry("validation", a_case(9, patient="patient-3")),))
    with pytest.raises(PatientLeak):
        to_replay(leaky, [old])


def test_what_is_replayed_is_learnt_from_and_counted_by_itself() -> None:
    ((case, _, *held),) = case_files([("training", *a_heart(8))])
    pupils = read_pupils([*some_files(training=1), (case, "replay", *held)], HEART)
    assert pupils.counts["replay"] == {"patients": 1, "series": 1, "slices": 3}
    assert (len(pupils.training), len(pupils.replay)) == (3, 3)


@pytest.mark.parametrize("text", ['{"frozen": ["encoder"]}', '{"replay": 0.2}', '{"pipeline": "own"}'])
def test_what_needs_a_base_is_refused_without_one(text: str) -> None:
    with pytest.raises(BadRecipe):
        read_recipe(text, fine_tuning=False, structures={})
    read_recipe(text, fine_tuning=True, structures={})


def test_a_pipeline_of_ones_own_trains_both_nets() -> None:
    assert read_recipe('{"pipeline": "own"}', fine_tuning=True, structures={}).stages == ("locate", "segment")
    for text in ('{"pipeline": "own", "stages": ["segment"]}', '{"pipeline": "theirs"}', '{"layer_decay": 2}'):
        with pytest.raises(BadRecipe):
            read_recipe(text, fine_tuning=True, structures={})


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class Reader:
    """A worker that only reads what it is given, and says what that chose."""

    parts: tuple[tuple[str, str], ...] = ()

    async def train(self, plan: Plan, files: CaseFiles, checkpoint: bytes | None, listen: Listener) -> None:
        self.parts = tuple([(case.series, part) async for case, part, _, _ in files()])
        await listen(Said(progress=Progress(), configured='{"chosen": {}}'))
        await listen(Said(progress=Progress()))


async def test_a_run_is_frozen_with_what_its_base_learnt_from(database: Database, cine: bytes) -> None:
    store, objects, reader = SqlStore(database), InMemoryObjects(), Reader()

    async def put(data: bytes) -> ObjectRef:
        where = {
            "project": "demo",
            "entity": "case",
            "id": "one",
            "kind": "file",
            "media_type": "a/b",
            "extension": "x",
        }
        return await objects.put(data, **where)

    async def accept(number: int) -> None:
        judged = {"lv_blood_pool": 1}
        kept = replace(a_case(number), volume=await put(b"volume"), mask=await put(b"mask"), judged=judged)
        async with store.change() as change:
            await change.remember_case("demo", kept)

    splits = {"splits": {"training": [f"patient-{number}" for number in (1, 2)]}}
    project = Project(id="demo", revision=1, configuration=await put(json.dumps({"name": "demo"} | splits).encode()))
    approvals = Approvals(store, Configurations(objects), 0)
    now, apart = (lambda: "2026-01-01T00:00:00Z"), KeepApart(store, objects)
    start = StartRun(store, CreateDataset(store, objects, Configurations(objects)), apart, now)
    await accept(1)
    first = await start(project, Wish(model="ventricle"))
    pushed = await RegisterModel(store, objects, approvals, now)("elsewhere", cine, "somebody")
    async with store.change() as change:
        ref = replace(pushed.ref, name="ventricle", digest="0" * 64)
        await change.add_model(replace(pushed, ref=ref, run=("demo", first.id)))
    second = Snapshot("demo", (Entry("training", replace(a_case(2), volume=await put(b"v"), mask=await put(b"m"))),))
    wish = Wish(model="ventricle", base="ventricle@1", recipe='{"replay": 0.25}', request_id="again")
    run = await start(project, wish)
    assert [row.digest for row in run.replay] == [first.dataset.digest]
    assert (await store.run("demo", run.id)).replay == run.replay
    other = replace(run.dataset, manifest=await put(second.manifest()))
    async with store.change() as change:
        await change.save_run(replace(run, dataset=other))
    finish = FinishRun(store, objects, None, approvals, now)  # type: ignore[arg-type]  # nobody is a candidate
    await TrainRun(store, objects, reader, finish, Terms(threads=1), objects)("demo", run.id)  # type: ignore[arg-type]
    assert reader.parts == (("1.2.2", "training"), ("1.2.1", "replay"))
    assert (await store.run("demo", run.id)).configured == '{"chosen": {}}'
    with pytest.raises(NothingToReplay):
        await start(project, replace(wish, base="elsewhere@1", request_id="once more"))

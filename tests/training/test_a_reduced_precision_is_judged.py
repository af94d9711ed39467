"""What you learn here: a reduced precision is judged on patients kept out, with the engine that serves."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from irp_bundle import read_bundle
from irp_bundle.openvino_engine import graphs_of
from irp_bundle.reduced import read_reduced
from irp_bundle.upsampling import with_plain_convolutions
from irp_kernel import sha256_of
from irp_kernel.errors import InvalidArgument
from irp_training.domain.judging.precision import accepts, compare
from irp_training.domain.learning.plan import Said
from irp_training.domain.reducing.quantise import RECIPES, finest, quantise, recipes_for
from irp_training.domain.reducing.trial import PrecisionTrial, TrialOutcome, TrialPlan
from precision_builders import a_threshold, held_out


def tried(precision: Any, reduce: Any = quantise, cases: int = 2) -> TrialOutcome:
    said: list[Said] = []
    plan = TrialPlan(bundle=a_threshold(), precision=precision, dataset="d", threads=1)
    outcome = PrecisionTrial(plan, said.append, reduce)(iter(held_out(cases)))
    fractions = [one.progress.fraction for one in said]
    assert fractions == sorted(fractions)
    return outcome


def test_int8_that_loses_nothing_is_accepted_and_its_networks_come_with_a_probe() -> None:
    outcome = tried("int8")
    report = json.loads(outcome.report)
    assert outcome.accepted, report["tried"]
    assert [one["accepted"] for one in report["tried"]][-1]
    assert [row["structure"] for row in report["tried"][-1]["structures"]] == ["lv_blood_pool"]
    assert report["tried"][-1]["structures"][0]["float32"] > 0.9
    assert all(row["difference"] >= -0.002 for row in report["tried"][-1]["structures"])
    assert set(report["speedup"]) == {"1", "8"}
    assert {"processor", "capabilities", "openvino", "nncf", "native", "calibration_inputs"} <= set(report)
    assert outcome.artefact is not None
    digest = sha256_of(a_threshold())
    networks = read_reduced(outcome.artefact, digest)
    assert set(networks.graphs) == set(networks.probe) == {"segment"}
    inputs, answers = networks.probe["segment"]
    assert answers.shape[:2] == (2, len(inputs)), "as several are asked together, and as one is alone"
    assert b'"i8"' in networks.graphs["segment"][0]
    with pytest.raises(InvalidArgument):
        read_reduced(outcome.artefact, "f" * 64)
    with pytest.raises(InvalidArgument):
        read_reduced(outcome.artefact[:-200], digest)


def test_int8_whose_calibration_was_spoiled_is_refused_recipe_after_recipe() -> None:
    outcome = tried("int8", lambda graph, inputs, recipe: quantise(graph, 1e4 * inputs, recipe))
    assert not outcome.accepted
    assert outcome.artefact is None
    assert "Dice on average" in outcome.message
    assert [one["recipe"] for one in json.loads(outcome.report)["tried"]] == [r.name for r in RECIPES[:3]]


def test_bfloat16_brings_every_network_without_transposed_convolutions_which_it_has_no_kernel_for() -> None:
    outcome = tried("bfloat16")
    assert outcome.accepted
    assert outcome.artefact is not None
    networks = read_reduced(outcome.artefact, sha256_of(a_threshold()))
    assert set(networks.graphs) == set(networks.probe) == set(read_bundle(a_threshold()).stages)
    assert not any(b"ConvolutionBackpropData" in graph for graph, _ in networks.graphs.values())
    assert len(json.loads(outcome.report)["tried"]) == 1


def test_where_nobody_was_judged_nothing_is_accepted() -> None:
    outcome = tried("int8", cases=0)
    assert not outcome.accepted
    assert "no validation case" in outcome.message


def test_a_mean_loss_beyond_the_margin_refuses_and_a_single_bad_case_within_it_does_not() -> None:
    def judged(*losses: float) -> bool:
        before = {str(case): {"lv_myocardium": 0.8} for case, _ in enumerate(losses)}
        after = {str(case): {"lv_myocardium": 0.8 - loss} for case, loss in enumerate(losses)}
        return accepts(compare(after, before, dataset="d", structures=("lv_myocardium", "rv_blood_pool")))

    assert judged(0.003, 0.0)
    assert not judged(0.003, 0.0015)
    assert judged(-0.01)


@pytest.mark.parametrize("written", [lambda graph: graph, with_plain_convolutions])
def test_the_finest_grids_are_found_whatever_the_layers_are_called_and_however_they_are_written(written: Any) -> None:
    graph = written(graphs_of(read_bundle(a_threshold()))["segment"])
    first, second = finest(graph, 1), finest(graph, 2)
    assert (len(finest(graph, 0)), len(first), len(second)) == (0, 1, 3)
    assert set(first) < set(second)
    assert recipes_for(graph) == list(RECIPES[:3])  # the last one would leave nothing in int8


def test_a_graph_that_is_reduced_leaves_the_first_one_as_it_was() -> None:
    graph = graphs_of(read_bundle(a_threshold()))["segment"]
    before = [op.get_type_name() for op in graph.get_ops()]
    inputs = np.random.default_rng(0).normal(size=(2, 1, 64, 64)).astype(np.float32)
    reduced = quantise(graph, inputs, RECIPES[0])
    assert [op.get_type_name() for op in graph.get_ops()] == before
    assert "FakeQuantize" in {op.get_type_name() for op in reduced.get_ops()}

"""What you learn here: a dataset is counted cell by cell, and its sheet says numbers and rules, never a patient."""

from __future__ import annotations

from dataclasses import replace

from irp_training.adapters.wire_datasets import dataset_to_proto
from irp_training.app.keep_dataset import patients_of
from irp_training.domain.datasets.composition import composition
from irp_training.domain.datasets.dataset import Entry, Snapshot
from irp_training.domain.datasets.datasheet import datasheet
from irp_training.domain.datasets.inclusion import Rules
from irp_training.domain.run import DatasetRow
from training_builders import a_case, a_ref

AVANTO = {"manufacturer": "SIEMENS", "manufacturer_model": "Avanto", "field_strength_t": 1.494}
TWICE = [
    replace(a_case(n, patient="twice"), **AVANTO, judged={"lv_blood_pool": n}, sex="F", age_years=61.0, certainty=3)
    for n in (1, 2)
]
OTHER = replace(a_case(3), site="site-2|<b>", judged={"scar": 5}, clinical="c" * 64)
SNAPSHOT = Snapshot(
    "demo",
    (*(Entry("training", case) for case in TWICE), Entry("test", OTHER)),
    Rules(least_certainty=0, structures=("scar", "lv_blood_pool")),
)
ROW = DatasetRow(
    digest=SNAPSHOT.digest, manifest=a_ref(), training=2, validation=0, test=1, patients=patients_of(SNAPSHOT),
    rules='{"structures": ["scar"]}', created_at="2026-11-27T08:00:00Z", actor="owner",
)  # fmt: skip


def test_cells_count_patients_series_and_judged_slices() -> None:
    first, second = composition(SNAPSHOT)
    assert (first.part, first.scanner, first.patients, first.series) == ("training", "SIEMENS Avanto 1.5 T", 1, 2)
    assert first.judged == {"lv_blood_pool": 3}
    assert (second.part, second.site, second.scanner, second.judged) == ("test", OTHER.site, "unknown", {"scar": 5})
    assert patients_of(SNAPSHOT) == {"training": 1, "validation": 0, "test": 1}


def test_a_sheet_says_what_is_known_and_what_is_not() -> None:
    sheet = datasheet(
        SNAPSHOT, ROW, {"title": "Scars", "deidentification": {"profile": "basic", "options": ["113105"]}}
    )
    for said in (
        "Project: Scars",
        "2026-11-27T08:00:00Z, by owner",
        "| training | 1 | 2 | 3 | 0 |",
        "SIEMENS Avanto 1.5 T",
        "61 (1 known)",
        "profile basic, options 113105",
        "3: 2, 2: 0, 1: 0; not said: 1",
        "with clinical values, by hash only: 1",
        "judged: lv_blood_pool, scar",
        "No patient in: validation",
        "not learnt from: unknown",
    ):
        assert said in sheet
    assert "site-2/(b)" in sheet
    for secret in ("twice", "patient-3", TWICE[0].series, "c" * 64, "<b>"):
        assert secret not in sheet


def test_a_sheet_of_before_rules_says_so() -> None:
    assert "before rules were written down" in datasheet(replace(SNAPSHOT, version=1), ROW, {})


def test_a_described_dataset_travels_with_its_cells() -> None:
    said = dataset_to_proto(ROW, composition(SNAPSHOT))
    assert [one.split for one in said.counts] == ["training", "test"]
    assert (list(said.rules.structures), dict(said.patients)["training"]) == (["scar"], 1)
    old = dataset_to_proto(replace(ROW, rules="", patients={}))
    assert (len(old.rules.verdicts), len(old.patients)) == (0, 0)

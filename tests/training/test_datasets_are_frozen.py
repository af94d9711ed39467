"""What you learn here: same facts, same digest; nobody is in two splits; bad series stay out."""

from __future__ import annotations

import pytest
from irp_training.domain.dataset import Entry, Snapshot, freeze
from irp_training.domain.errors import DatasetEmpty, PatientLeak
from irp_training.domain.split import PARTS, Splits, by_hash
from training_builders import a_case

NAMED = {"splits": {"training": ["patient-1"], "validation": ["patient-2"], "test": ["patient-3"]}}


def test_the_same_facts_give_the_same_digest_whatever_their_order() -> None:
    splits = Splits.from_configuration(NAMED)
    cases = [a_case(n) for n in (1, 2, 3)]
    assert freeze("p", cases, splits).digest == freeze("p", reversed(cases), splits).digest


def test_a_newer_mask_or_another_split_changes_the_digest() -> None:
    splits = Splits.from_configuration(NAMED)
    before = freeze("p", [a_case(1), a_case(2)], splits)
    assert freeze("p", [a_case(1, version=2), a_case(2)], splits).digest != before.digest
    assert freeze("p", [a_case(1), a_case(2)], Splits({"patient-2": "test"})).digest != before.digest


def test_a_manifest_reads_back_as_the_same_dataset() -> None:
    snapshot = freeze("p", [a_case(n) for n in (1, 2, 3)], Splits.from_configuration(NAMED))
    assert Snapshot.from_manifest(snapshot.manifest()).digest == snapshot.digest
    assert [snapshot.count(part) for part in PARTS] == [1, 1, 1]


def test_a_patient_on_two_lists_is_a_leak() -> None:
    with pytest.raises(PatientLeak) as leak:
        Splits.from_configuration({"splits": {"training": ["patient-1"], "test": ["patient-1"]}})
    assert leak.value.reason == "PATIENT_LEAK"
    assert "patient-1" not in str(leak.value)


def test_a_snapshot_with_a_leaked_patient_cannot_exist() -> None:
    with pytest.raises(PatientLeak):
        Snapshot("p", (Entry("training", a_case(1, patient="x")), Entry("validation", a_case(2, patient="x"))))


def test_a_manifest_with_a_leaked_patient_is_refused_when_it_is_read() -> None:
    snapshot = freeze("p", [a_case(1), a_case(2)], Splits.from_configuration(NAMED))
    leaked = snapshot.manifest().replace(b'"patient-2"', b'"patient-1"')
    with pytest.raises(PatientLeak):
        Snapshot.from_manifest(leaked)


def test_two_series_of_a_patient_whom_no_list_names_share_a_split() -> None:
    snapshot = freeze("p", [a_case(n, patient="someone") for n in range(4)], Splits())
    assert {entry.part for entry in snapshot.entries} == {by_hash("someone")}


def test_the_hash_spreads_patients_as_declared() -> None:
    parts = [by_hash(f"{n:05d}") for n in range(4000)]
    assert parts.count("training") / 4000 == pytest.approx(0.70, abs=0.03)
    assert parts.count("test") / 4000 == pytest.approx(0.15, abs=0.03)


def test_unusable_series_and_other_classes_stay_out() -> None:
    with pytest.raises(DatasetEmpty):
        freeze("p", [a_case(1, verdict="unusable")], Splits())
    with pytest.raises(DatasetEmpty):
        freeze("p", [a_case(1)], Splits(), ["lge-psir-sax"])
    assert len(freeze("p", [a_case(1, verdict="review"), a_case(2, verdict="")], Splits(), ["cine-sax"]).entries) == 2

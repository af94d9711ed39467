"""What you learn here: same facts and rules, same digest; nobody is in two splits; bad series stay out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from irp_training.domain.datasets.dataset import Entry, Snapshot, freeze
from irp_training.domain.datasets.inclusion import Rules
from irp_training.domain.datasets.split import PARTS, Splits
from irp_training.domain.errors import DatasetEmpty, PatientLeak, RulesNotValid
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
    assert len({entry.part for entry in snapshot.entries}) == 1


def test_unusable_series_and_other_classes_stay_out() -> None:
    with pytest.raises(DatasetEmpty):
        freeze("p", [a_case(1, verdict="unusable")], Splits())
    with pytest.raises(DatasetEmpty):
        freeze("p", [a_case(1)], Splits(), Rules(sequence_classes=("lge-psir-sax",)))
    cine = Rules(sequence_classes=("cine-sax",))
    assert len(freeze("p", [a_case(1, verdict="review"), a_case(2, verdict="")], Splits(), cine).entries) == 2


CERTAIN = replace(a_case(1), certainty=3, judged={"lv_blood_pool": 4, "scar": 0})
UNSURE = replace(a_case(2, verdict=""), certainty=1, judged={"scar": 2}, site="site-2")


@pytest.mark.parametrize(
    ("rules", "admitted"),
    [
        (Rules(), [True, True]),
        (Rules(verdicts=("good",)), [True, False]),
        (Rules(verdicts=("unknown",)), [False, True]),
        (Rules(least_certainty=2), [True, False]),
        (Rules(structures=("scar",)), [False, True]),
        (Rules(structures=("lv_blood_pool", "scar")), [True, True]),
        (Rules(sites=("site-2",)), [False, True]),
    ],
)
def test_rules_decide_which_accepted_masks_count(rules: Rules, admitted: list[bool]) -> None:
    assert [rules.admit(CERTAIN), rules.admit(UNSURE)] == admitted


def test_a_mask_of_which_nobody_knows_what_it_judges_counts_for_no_structure() -> None:
    assert not Rules(structures=("scar",)).admit(a_case(1))


def test_rules_are_part_of_the_digest_and_their_order_is_not() -> None:
    cases, sites = [CERTAIN, UNSURE], ("site-1", "site-2")
    plain, ruled = freeze("p", cases, Splits()), freeze("p", cases, Splits(), Rules(sites=sites))
    assert plain.entries == ruled.entries
    assert plain.digest != ruled.digest
    assert freeze("p", cases, Splits(), Rules(sites=sites[::-1] + sites)).digest == ruled.digest
    assert Snapshot.from_manifest(ruled.manifest()) == Snapshot("p", _without_verdicts(ruled), ruled.rules)


def _without_verdicts(snapshot: Snapshot) -> tuple[Entry, ...]:
    return tuple(Entry(entry.part, replace(entry.case, verdict="")) for entry in snapshot.entries)


@pytest.mark.parametrize(
    "document",
    [
        {"verdicts": ["superb"]},
        {"least_certainty": 4},
        {"structures": ["liver"]},
        {"sites": [f"site-{n}" for n in range(65)]},
        {"colour": "red"},
    ],
)
def test_a_rule_that_nobody_knows_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(RulesNotValid):
        Rules.from_json(document)


def test_a_manifest_of_before_rules_reads_and_hashes_as_it_did() -> None:
    old = (
        b'{"cases":[{"mask":{"bucket":"m","key":"k","media_type":"t","sha256":"'
        + b"a" * 64
        + (
            b'","size":1},"patient":"p-1","sequence_class":"cine-sax","series":"1.2","site":"s","split":"test","version":1,'
            b'"volume":{"bucket":"v","key":"k","media_type":"t","sha256":"' + b"b" * 64 + b'","size":1}}],'
            b'"project":"p","version":1}'
        )
    )
    assert Snapshot.from_manifest(old).manifest() == old


def test_clinical_values_and_what_is_known_of_scanner_and_mask_are_hashed_too() -> None:
    digests = {
        freeze("p", [replace(CERTAIN, **change)], Splits()).digest
        for change in ({}, {"clinical": "c" * 64}, {"manufacturer_model": "Avanto"}, {"certainty": 2}, {"sex": "F"})
    }
    assert len(digests) == 5


@pytest.mark.parametrize(
    ("tesla", "scanner"), [(1.494, "SIEMENS Avanto 1.5 T"), (2.8936, "SIEMENS Avanto 3 T"), (0.0, "SIEMENS Avanto")]
)
def test_a_scanner_is_named_by_maker_model_and_the_field_strength_that_people_say(tesla: float, scanner: str) -> None:
    case = replace(a_case(1), manufacturer="SIEMENS", manufacturer_model=" Avanto ", field_strength_t=tesla)
    assert case.scanner == scanner
    assert a_case(1).scanner == "unknown"

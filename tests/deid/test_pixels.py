"""What you learn here: which instances may name somebody, and what a project's rules about pixels make of them."""

from __future__ import annotations

from typing import Any

import pytest
from irp_deid import Profile, deidentify_file
from irp_deid.errors import BurnedInAnnotation, InstanceRefused, RecordingNotTaken, RefusedByRule, SecondaryCapture
from irp_deid.pixels import Fate, judge_pixels
from irp_deid.suspicion import suspicion_of
from pydicom.dataset import Dataset

from .builders import KEY, an_instance, to_bytes

CLASSES = "1.2.840.10008.5.1.4.1.1."
CAPTURE = {"SOPClassUID": f"{CLASSES}7"}
ULTRASOUND = {"SOPClassUID": f"{CLASSES}6.1", "Modality": "US"}
DOCUMENT = {"SOPClassUID": f"{CLASSES}104.1", "Modality": "DOC"}
REPORT = {"SOPClassUID": f"{CLASSES}88.22", "Modality": "SR"}
OF_CLASS = {"SOPClassUID": "[.]7$"}
CHOSEN = Profile.of(codes=["113101", "113105", "113107"])


def rule(then: Any, **when: Any) -> dict[str, Any]:
    return {"when": when or {"Modality": "."}, "then": then}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"SOPClassUID": f"{CLASSES}2", "Modality": "CT", "ImageType": ["DERIVED", "SECONDARY", "MPR"]}, ""),
        ({"SOPClassUID": f"{CLASSES}128", "Modality": "PT"}, ""),
        ({"SOPClassUID": f"{CLASSES}12.1", "Modality": "XA"}, ""),
        ({"BurnedInAnnotation": "NO"}, ""),
        ({"BurnedInAnnotation": "YES"}, "BURNED_IN_ANNOTATION"),
        ({"BurnedInAnnotation": "perhaps"}, "BURNED_IN_ANNOTATION"),
        (ULTRASOUND, "BURNED_IN_ANNOTATION"),
        (ULTRASOUND | {"BurnedInAnnotation": "NO"}, ""),
        ({"SOPClassUID": f"{CLASSES}77.1.1", "Modality": "ES"}, "BURNED_IN_ANNOTATION"),
        (CAPTURE, "SECONDARY_CAPTURE"),
        (CAPTURE | {"BurnedInAnnotation": "NO"}, "SECONDARY_CAPTURE"),
        ({"ConversionType": "WSD"}, "SECONDARY_CAPTURE"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "SECONDARY_CAPTURE"),
        ({"ImageType": ["DERIVED", "SECONDARY", "DOSE_INFO"]}, "SECONDARY_CAPTURE"),
        (DOCUMENT, "ENCAPSULATED_DOCUMENT"),
        (REPORT, "STRUCTURED_REPORT"),
    ],
)
def test_a_suspect_is_told_by_its_header(change: dict[str, Any], reason: str) -> None:
    found = suspicion_of(an_instance(**change), Profile())
    assert (found.error.reason if found else "") == reason


def test_a_report_is_no_suspect_where_its_content_is_cleaned() -> None:
    assert suspicion_of(an_instance(**REPORT), Profile.of(codes=["113103"])) is None


@pytest.mark.parametrize(
    ("change", "rules", "fate", "reason"),
    [
        ({}, [], Fate.TAKE, ""),
        (CAPTURE, [], Fate.QUARANTINE, "SECONDARY_CAPTURE"),
        (CAPTURE, [rule("clean", **OF_CLASS)], Fate.TAKE, ""),
        (CAPTURE, [rule("clean", **OF_CLASS, Manufacturer="ACME")], Fate.QUARANTINE, "SECONDARY_CAPTURE"),
        (CAPTURE, [rule("quarantine"), rule("clean")], Fate.QUARANTINE, "SECONDARY_CAPTURE"),
        ({}, [rule("quarantine")], Fate.QUARANTINE, "RULE"),
        (CAPTURE, [rule({"mask": [[0, 0, 2, 1]]})], Fate.MASK, ""),
        ({}, [rule({"mask": [[0, 0, 2, 1]]}, Rows={"max": 2})], Fate.MASK, ""),
        ({}, [rule({"mask": [[0, 0, 2, 1]]}, Rows={"min": 3})], Fate.TAKE, ""),
        # what the file itself says is overruled only by a rule that asks for it
        ({"BurnedInAnnotation": "YES"}, [rule("clean")], Fate.QUARANTINE, "BURNED_IN_ANNOTATION"),
        ({"BurnedInAnnotation": "YES"}, [rule("clean", BurnedInAnnotation="YES")], Fate.TAKE, ""),
        ({"BurnedInAnnotation": "YES"}, [rule({"mask": [[0, 0, 2, 1]]})], Fate.MASK, ""),
        # rules about pixels prove nothing about documents and texts
        (DOCUMENT, [rule("clean")], Fate.QUARANTINE, "ENCAPSULATED_DOCUMENT"),
        (REPORT, [rule({"mask": [[0, 0, 2, 1]]})], Fate.QUARANTINE, "STRUCTURED_REPORT"),
    ],
)
def test_the_first_rule_that_matches_decides(
    change: dict[str, Any], rules: list[dict[str, Any]], fate: Fate, reason: str
) -> None:
    verdict = judge_pixels(an_instance(**change), CHOSEN, rules)
    assert (verdict.fate, verdict.reason) == (fate, reason)
    assert verdict.regions == (((0, 0, 2, 1),) if fate is Fate.MASK else ())


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({}, RefusedByRule),
        (CAPTURE, SecondaryCapture),
        ({"BurnedInAnnotation": "YES"}, BurnedInAnnotation),
        ({"SOPClassUID": f"{CLASSES}9.1.1"}, RecordingNotTaken),
        ({"SOPClassUID": f"{CLASSES}66"}, RecordingNotTaken),
    ],
)
def test_a_rule_can_refuse_and_recordings_always_are(change: dict[str, Any], refusal: type[InstanceRefused]) -> None:
    with pytest.raises(refusal):
        judge_pixels(an_instance(**change), CHOSEN, [rule("refuse")])


@pytest.mark.parametrize("change", [CAPTURE, ULTRASOUND, DOCUMENT, REPORT])
def test_the_engine_cleans_the_header_of_a_suspect_only_for_whoever_keeps_it_apart(change: dict[str, Any]) -> None:
    original = to_bytes(an_instance(**change))
    with pytest.raises(InstanceRefused):
        deidentify_file(original, KEY, Profile())
    data, _ = deidentify_file(original, KEY, Profile().with_suspects())
    assert b"Quixote" not in data


def test_texts_of_a_report_that_waits_are_cleaned_whatever_the_profile_says() -> None:
    item = Dataset()
    item.ValueType, item.TextValue = "TEXT", "Quixote, Alonso: heart, cine"
    verdict = judge_pixels(an_instance(**REPORT), Profile(), [])
    profile = verdict.profile(Profile())
    data, _ = deidentify_file(to_bytes(an_instance(**REPORT, ContentSequence=[item])), KEY, profile)
    assert b"heart, cine" in data
    assert b"Quixote" not in data
    assert b"113103" in data

"""What you learn here: which configuration documents are taken, and what is said of those that are not."""

from __future__ import annotations

import json
import time
from importlib.resources import files
from typing import Any

import irp_deid
import pytest
from irp_deid.errors import PositiveListNotValid
from irp_gateway.adapters.documents import read_document
from irp_gateway.domain import configuration
from irp_gateway.domain.configuration import Configuration, read_configuration
from irp_gateway.domain.errors import BodyNotReadable, ConfigurationNotValid

SMALL = {"name": "heart-study", "structures": [{"name": "cavity", "canonical": "lv_blood_pool"}]}
CINE = {"class": "cine-sax", "when": {"Modality": "^MR$", "phases": {"min": 2}}}


def test_the_same_document_gives_the_same_bytes_in_whatever_order() -> None:
    turned = dict(reversed(SMALL.items()))
    one, two = read_configuration(SMALL).canonical_json(), read_configuration(turned).canonical_json()
    assert one == two
    assert read_configuration(json.loads(one)).canonical_json() == one


def test_what_is_not_said_has_defaults_and_nothing_happens_by_itself() -> None:
    document = json.loads(read_configuration(SMALL).canonical_json())
    assert document["deidentification"] == {
        "profile": "basic",
        "options": ["113105", "113107", "113111"],
        "positive_list": None,
        "vocabulary": [],
        "pixels": [],
        "before_arrival": "optional",
    }
    assert document["automation"] == {"segment": {}, "containers": {}, "train": None, "extract": None}
    assert document["series_quiet_s"] == 2.0


def test_the_options_are_those_that_the_engine_offers() -> None:
    offered = sorted(irp_deid.OPTIONS)
    for option in offered:
        assert read_configuration(SMALL | {"deidentification": {"options": [option]}})
    for wrong in (["113102"], ["113106", "113107"]):
        with pytest.raises(ConfigurationNotValid, match="options" if len(wrong) == 1 else "not both"):
            read_configuration(SMALL | {"deidentification": {"options": wrong}})
    assert sorted(configuration.OPTIONS) == offered


MASK = {"when": {"Modality": "^US$", "Rows": {"min": 480, "max": 480}}, "then": {"mask": [[0, 0, 640, 32]]}}


def test_rules_about_pixels_stay_as_they_were_written_and_in_order() -> None:
    rules = [MASK, {"when": {"StationName": "^PHANTOM"}, "then": "clean"}]
    section = {"options": ["113101", "113105"], "pixels": rules}
    document = json.loads(read_configuration(SMALL | {"deidentification": section}).canonical_json())
    kept = document["deidentification"]["pixels"]
    assert [rule["then"] for rule in kept] == [{"mask": [[0, 0, 640, 32]]}, "clean"]
    assert kept[0]["when"]["Rows"] == {"min": 480, "max": 480}


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (MASK | {"when": {}}, "pixels.0.when"),
        (MASK | {"when": {"phases": {"min": 2}}}, "pixels.0.when"),
        (MASK | {"when": {"Modality": "("}}, "not a regular expression"),
        (MASK | {"then": "burn"}, "pixels.0.then"),
        (MASK | {"then": {"mask": []}}, "pixels.0.then"),
        (MASK | {"then": {"mask": [[0, 0, 640]]}}, "pixels.0.then"),
        (MASK | {"then": {"mask": [[0, 0, 0, 32]]}}, "pixels.0.then"),
        (MASK | {"then": {"mask": [[-1, 0, 10, 32]]}}, "pixels.0.then"),
    ],
)
def test_a_wrong_rule_about_pixels_says_where(rule: dict[str, Any], says: str) -> None:
    section = {"options": ["113101"], "pixels": [rule]}
    with pytest.raises(ConfigurationNotValid) as refused:
        read_configuration(SMALL | {"deidentification": section})
    assert says in refused.value.message


def test_rules_about_pixels_need_the_option_that_says_so_in_every_object() -> None:
    with pytest.raises(ConfigurationNotValid, match="113101"):
        read_configuration(SMALL | {"deidentification": {"pixels": [MASK]}})


GOOD_ENTRIES = [
    *("SeriesDescription", "0018,0081", "(0018,0081)", "00180081", "60xx", "50XX"),
    *({"creator": "SIEMENS MR HEADER", "element": e} for e in ("0019,xx0C", "0019xx0c", "(0019,XX0C)")),
]
BAD_ENTRIES = [
    *("seriesDescription", "0018", "001800811", "Quixote was here", "0019,0010", "61xx", "", 7, None, ["Rows"]),
    *({"creator": c, "element": "0019,xx0C"} for c in ("", "a\\b", "x" * 65)),
    *({"creator": "A", "element": e} for e in ("0019,100C", "0018,xx0C", "")),
    *({"creator": "A"}, {"creator": "A", "element": "0019,xx0C", "vr": "IS"}),
]


def with_list(entry: object) -> dict[str, Any]:
    listed = {"name": "ours", "version": 3, "attributes": ["Rows", entry]}
    return {"positive_list": listed, "vocabulary": ["Tako", "T1map", "größe"]}


@pytest.mark.parametrize("entry", GOOD_ENTRIES)
def test_a_positive_list_that_the_gateway_takes_is_one_for_the_engine(entry: object) -> None:
    document = json.loads(read_configuration(SMALL | {"deidentification": with_list(entry)}).canonical_json())
    profile = irp_deid.Profile.from_configuration(document["deidentification"])
    assert profile is irp_deid.Profile.from_configuration(with_list(entry))


@pytest.mark.parametrize("entry", BAD_ENTRIES)
def test_what_cannot_stand_in_a_positive_list_is_refused_by_gateway_and_engine(entry: object) -> None:
    with pytest.raises(ConfigurationNotValid, match=r"positive_list\.attributes\.1"):
        read_configuration(SMALL | {"deidentification": with_list(entry)})
    with pytest.raises(PositiveListNotValid, match=r"attributes\.1") as refused:
        irp_deid.Profile.from_configuration(with_list(entry))
    assert "Quixote" not in refused.value.message


@pytest.mark.parametrize(
    "template", sorted(p.name for p in files("openirp.templates").iterdir() if p.name.endswith(".yaml"))
)
def test_every_template_that_the_command_offers_is_valid(template: str) -> None:
    document = read_document((files("openirp.templates") / template).read_bytes())
    assert read_configuration(document | {"name": "from-template"})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "X"}, "name: "),
        ({"name": None}, "name: "),
        ({"structures": []}, "structures: "),
        ({"structures": SMALL["structures"] * 2}, "each structure stands there once"),
        ({"colour": "red"}, "colour: is not a key that is known here"),
        ({"sequences": [{"class": "a", "when": {}}]}, "sequences.0.when"),
        ({"sequences": [{"class": "a", "when": {"modality": "MR"}}]}, "sequences.0.when.modality"),
        ({"sequences": [{"class": "a", "when": {"Modality": "("}}]}, "not a regular expression"),
        ({"sequences": [{"class": "a", "when": {"phases": {"min": 3, "max": 2}}}]}, "min is not above max"),
        ({"sequences": [{"class": "a", "when": {"phases": {}}}]}, "say min, max, or both"),
        ({"quality_form": [{"name": "motion", "type": "choice"}]}, "lists its choices"),
        ({"quality_form": [{"name": "motion", "type": "integer", "min": 5, "max": 1}]}, "min is not above max"),
        ({"deidentification": {"profile": "none"}}, "deidentification.profile"),
        ({"deidentification": {"options": ["999"]}}, "deidentification.options.0"),
        ({"deidentification": {"vocabulary": ["ok", "fine"]}}, "deidentification.vocabulary.0"),
        ({"deidentification": {"positive_list": {"name": "a", "version": 0, "attributes": ["Rows"]}}}, "list.version"),
        ({"deidentification": {"positive_list": {"name": "a", "version": 1, "attributes": [524384]}}}, "attributes.0"),
        ({"automation": {"segment": {"cine-sax": "cine"}}}, "no sequence gives: cine-sax"),
        ({"automation": {"train": {"after_masks": 0}}}, "automation.train.after_masks"),
        (
            {"automation": {"train": {"after_masks": 5, "include": {"sequence_classes": ["lge"]}}}},
            "automation.train.include names classes that no sequence gives: lge",
        ),
        ({"automation": {"train": {"model": "cine"}}}, "after_masks, every_hours or daily_at"),
        ({"automation": {"train": {"every_hours": 6, "daily_at": "02:30"}}}, "not both"),
        ({"automation": {"train": {"every_hours": 0.1}}}, "every_hours is 0.25 or more"),
        ({"automation": {"train": {"daily_at": "24:00"}}}, "automation.train.daily_at"),
        ({"automation": {"train": {"daily_at": "02:30", "include": {"least_certainty": 4}}}}, "least_certainty"),
        ({"automation": {"train": {"after_masks": 5, "recipe": {"margin": {}}}}}, "automation.train.recipe.margin"),
        ({"automation": {"train": {"after_masks": 5}}}, "automation.train.model: name the model"),
        (
            {"automation": {"train": {"after_masks": 5, "model": "cine", "recipe": {"gate": "x" * 200_000}}}},
            "automation.train.recipe: at most",
        ),
        ({"splits": {"training": ["p"], "test": ["p"]}}, "a patient stands in one split only"),
        ({"series_quiet_s": -1}, "series_quiet_s"),
        ({"approvals": 2}, "approvals"),
    ],
)
def test_a_wrong_document_says_where_and_what(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationNotValid) as refused:
        read_configuration(SMALL | change)
    assert says in refused.value.message


def test_a_refusal_names_places_and_never_values() -> None:
    secret = "Planted^Patricia"
    document = SMALL | {"title": {secret: secret}, "endpoints": [{"name": secret, "type": secret}], "splits": secret}
    with pytest.raises(ConfigurationNotValid) as refused:
        read_configuration(document)
    assert secret not in refused.value.message


@pytest.mark.parametrize("document", [None, [], "text", 5])
def test_what_is_no_document_is_refused(document: Any) -> None:
    with pytest.raises(ConfigurationNotValid, match="document: must be a mapping"):
        read_configuration(document)


def test_yaml_and_json_say_the_same_and_on_is_a_word() -> None:
    assert read_document(b"extract: {on: accepted, really: true, day: 2026-01-02}") == {
        "extract": {"on": "accepted", "really": True, "day": "2026-01-02"}
    }
    assert read_document(b'{"a": [1, 2.5, null, "on", false]}') == {"a": [1, 2.5, None, "on", False]}


HOSTILE = [
    b"[",
    b"\xff\xfe\x00",
    b"a: &x [*x]",
    b"!!python/object:os.system {}",
    b"[" * 5000,
    b'{"a":' * 5000,
    b"{a: " * 200_000,
    b"[" * 1_000_000,
    b"- " * 500_000,
    b"[" + b"a, " * 300_000 + b"]",
    b'{"title": "a\\u0000b"}',
    b'title: "a\\0b"',
]


@pytest.mark.parametrize("text", HOSTILE, ids=[repr(text[:12]) for text in HOSTILE])
def test_what_is_neither_is_refused_before_it_costs_anything(text: bytes) -> None:
    began = time.process_time()
    with pytest.raises(BodyNotReadable):
        read_document(text)
    assert time.process_time() - began < 5  # a parser in Python takes minutes for some of them


def test_a_pattern_that_would_take_for_ever_is_a_pattern_like_any_other_and_one_that_looks_around_is_none() -> None:
    def a_rule(pattern: str) -> dict[str, Any]:
        return SMALL | {"sequences": [CINE | {"when": {"SeriesDescription": pattern}}]}

    read_configuration(a_rule("^([A-Za-z]+)+$"))
    for pattern in ("(?=x)y", r"(a)\1", "(", "a{1000}{1000}"):
        with pytest.raises(ConfigurationNotValid, match="RE2"):
            read_configuration(a_rule(pattern))


def test_a_project_may_learn_by_number_by_the_clock_or_by_both() -> None:
    for when in ({"after_masks": 5}, {"every_hours": 6}, {"daily_at": "02:30", "after_masks": 5, "paused": True}):
        train = read_configuration(SMALL | {"automation": {"train": {"model": "cine", **when}}}).automation.train
        assert train is not None
        assert train.include.verdicts == []


def test_a_kept_document_that_names_no_model_can_still_be_read() -> None:
    kept = json.dumps(SMALL | {"automation": {"train": {"after_masks": 5}}})
    assert Configuration.model_validate_json(kept).automation.train is not None


def test_automation_may_name_the_class_of_the_rest() -> None:
    document = SMALL | {"sequences": [CINE], "automation": {"segment": {"cine-sax": "cine", "other": "cine"}}}
    assert read_configuration(document).automation.segment["other"] == "cine"

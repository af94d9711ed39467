"""What you learn here: the pinned version or the champion answered, whatever the clocks of replicas say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from irp.inference.v1.events_pb2 import ServingConfigured
from irp_chassis.db import Database
from irp_training.adapters.db import METADATA
from irp_training.adapters.serving_rows import ServingRows
from irp_training.adapters.wire import history_to_proto
from irp_training.domain.registry.chronicle import chronicle, moment
from irp_training.domain.registry.registry import Model, Promotion
from irp_training.domain.registry.serving import Serving, Share, served_at
from irp_training.domain.run import ModelRef
from sqlalchemy import MetaData
from training_builders import a_ref


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


def at(minute: int) -> str:
    return f"2026-01-01T00:{minute:02}:00.000+00:00"


def a_version(number: int, minute: int) -> Model:
    ref = ModelRef(name="net", version=number, digest="d" * 64)
    told = {"licence": "CC0-1.0", "figures": "{}", "structures": ("scar",)}
    return Model(ref=ref, bundle=a_ref(), created_at=at(minute), actor="ada", **told)  # type: ignore[arg-type]


PROMOTIONS = [Promotion(1, 1, "promote", "ada", at(10)), Promotion(2, 2, "promote", "ada", at(20))]
SERVINGS = [
    Serving(revision=1, actor="grace", at=at(30), pin=1, canary=Share(2, 10.0)),
    Serving(revision=2, actor="promotion", at=at(40), shadow=Share(3, 5.0)),
]


def version_at(minute: int) -> int | None:
    return served_at(PROMOTIONS, SERVINGS, moment(at(minute))).version


def test_a_pin_answers_until_it_is_taken_back() -> None:
    assert [version_at(minute) for minute in (5, 15, 25, 35, 45)] == [None, 1, 2, 1, 2]
    pinned = served_at(PROMOTIONS, SERVINGS, moment(at(35)))
    assert (pinned.champion, pinned.serving) == (2, SERVINGS[0])
    now = history_to_proto([], served_at(PROMOTIONS, SERVINGS, None))
    assert (now.served, now.champion, now.pin, now.canary, now.shadow, now.shadow_percent) == (2, 2, 0, 0, 3, 5.0)


def test_pins_and_canaries_stand_in_the_history_with_who_and_when() -> None:
    told = chronicle([a_version(1, 1), a_version(2, 2)], [], PROMOTIONS, SERVINGS)
    assert [(one.kind, one.version, one.actor, one.reason) for one in told[-2:]] == [
        ("serving", 1, "grace", "pin 1, canary 2 for 10 % of the series"),
        ("serving", 0, "promotion", "shadow 3 for 5 % of the series"),
    ]
    until = chronicle([a_version(1, 1), a_version(2, 2)], [], PROMOTIONS, SERVINGS, moment(at(30)))
    assert [one.kind for one in until] == ["registered", "registered", "promoted", "promoted", "serving"]


def test_a_rollback_whose_replica_is_late_comes_after_its_promotion() -> None:
    late = [*PROMOTIONS, Promotion(3, 1, "rollback", "ada", at(5))]
    assert [served_at(late, [], moment(at(minute))).version for minute in (7, 15, 20, 25)] == [None, 1, 1, 1]
    assert served_at(late, [], None).version == 1
    told = chronicle([a_version(1, 1), a_version(2, 2)], [], late)
    assert [(one.kind, one.version, one.before) for one in told[2:]] == [
        ("promoted", 1, None),
        ("promoted", 2, 1),
        ("rolled-back", 1, 2),
    ]


def test_a_revision_whose_replica_is_late_still_holds_last() -> None:
    late = [SERVINGS[0], Serving(revision=2, actor="grace", at=at(1))]
    assert served_at(PROMOTIONS, late, moment(at(35))).version == 2
    assert served_at(PROMOTIONS, late, None).version == 2


def test_nothing_happens_to_a_version_before_it_is_registered() -> None:
    told = chronicle([a_version(1, 12)], [], PROMOTIONS[:1])
    assert [one.kind for one in told] == ["registered", "promoted"]


async def test_what_inference_tells_is_kept_once_and_for_good(database: Database) -> None:
    rows = ServingRows(database, lambda: at(59))
    policies: list[dict[str, Any]] = [
        {"pin": 1, "canary": {"version": 2, "percent": 10.0}, "shadow": None},
        {"pin": None, "canary": None, "shadow": {"version": 3, "percent": 5.0}},
    ]
    for revision, policy in [*enumerate(policies, start=1), (1, policies[0])]:
        said = SERVINGS[revision - 1]
        fact = ServingConfigured(name="net", policy=json.dumps(policy), actor=said.actor, at=said.at)
        fact.aggregate.id, fact.aggregate.version = "net", revision
        await rows.on_serving_configured(fact)
    assert await rows.of("net") == SERVINGS
    assert await rows.of("other") == []
    older = ServingConfigured(name="other", policy=json.dumps(policies[0]), actor="grace")
    older.aggregate.version = 1
    await rows.on_serving_configured(older)
    assert [one.at for one in await rows.of("other")] == [at(59)]  # of before it told when: as it was heard

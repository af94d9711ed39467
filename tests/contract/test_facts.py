"""What you learn here: every fact has a stream, a subject, readers that really read it, and survives the wire."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from irp_chassis.facts import ROOMS, FactKind, every_fact, fact_id, kind_of

SERVICES = Path(__file__).parents[2] / "services"
FACTS = list(every_fact())


def an_example(message: type[Message]) -> Message:
    """A message with every singular field filled."""
    example = message()
    for field in message.DESCRIPTOR.fields:
        if field.is_repeated:
            continue
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            getattr(example, field.name).CopyFrom(an_example(type(getattr(example, field.name))))
        elif field.type == FieldDescriptor.TYPE_STRING:
            setattr(example, field.name, "example")
        else:
            setattr(example, field.name, 1)
    return example


@pytest.mark.parametrize("kind", FACTS, ids=lambda kind: kind.message.DESCRIPTOR.name)
def test_a_fact_has_stream_subject_and_example(kind: FactKind) -> None:
    example = an_example(kind.message)
    assert kind.stream == f"IRP_{kind.subject.split('.')[1].upper()}"
    assert re.fullmatch(r"irp\.[a-z]+\.v1(\.[a-z]+)+\.example", kind.subject_of(example))
    assert kind.message.FromString(example.SerializeToString()) == example
    assert fact_id(example) == fact_id(kind.message.FromString(example.SerializeToString()))


@pytest.mark.parametrize(
    ("kind", "room"), [(k, r) for k in FACTS for r in k.readers], ids=lambda x: x if isinstance(x, str) else None
)
def test_a_declared_reader_reads(kind: FactKind, room: str) -> None:
    assert room in ROOMS
    sources = "".join(p.read_text() for p in (SERVICES / room / "src").rglob("*.py"))
    assert re.search(rf"\.on\(\s*(\w+\.)?{kind.message.DESCRIPTOR.name}\b", sources)


@pytest.mark.parametrize("kind", [k for k in FACTS if k.broadcast], ids=lambda kind: kind.message.DESCRIPTOR.name)
def test_a_broadcast_is_heard_by_somebody(kind: FactKind) -> None:
    from irp_gateway.adapters.events import HEARD

    sources = "".join(p.read_text() for p in SERVICES.glob("*/src/**/main.py"))
    assert kind.message in HEARD or re.search(rf"\.hear\(\s*(\w+\.)?{kind.message.DESCRIPTOR.name}\b", sources)


@pytest.mark.parametrize("kind", FACTS, ids=lambda kind: kind.message.DESCRIPTOR.name)
def test_no_fact_is_told_to_nobody(kind: FactKind) -> None:
    assert kind.readers or kind.broadcast


def test_subjects_and_durables_are_derived_as_the_map_says() -> None:
    from irp.ingest.v1.events_pb2 import SeriesStored

    kind = kind_of(SeriesStored)
    assert kind.subject == "irp.ingest.v1.series.stored"
    assert kind.durable("quality") == "quality--series-stored"
    assert kind.stream == "IRP_INGEST"

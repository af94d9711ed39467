"""What the protos declare about facts: stream, subject and durables are derived, never written by hand.

`irp.ingest.v1.SeriesStored` -> subject `irp.ingest.v1.series.stored.<token>`, stream `IRP_INGEST`,
durable of the room quality: `quality--series-stored`.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.message import Message
from irp.common.v1 import options_pb2
from irp_kernel.errors import InvalidArgument

ROOMS = ("gateway", "ingest", "quality", "annotation", "training", "inference", "radiomics")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True)
class FactKind:
    """One kind of fact.

    Attributes:
        message: the protobuf class.
        stream: JetStream stream of the writing room.
        subject: without the last token.
        readers: rooms with a durable consumer.
        token_field: field that gives the last token.
        broadcast: heard by every process, latest per subject.
    """

    message: type[Message]
    stream: str
    subject: str
    readers: tuple[str, ...]
    token_field: str
    broadcast: bool

    @property
    def filter(self) -> str:
        """Subject filter for every token."""
        return f"{self.subject}.*"

    def durable(self, room: str) -> str:
        """Name of a room's durable consumer."""
        return f"{room}--{'-'.join(_words(self.message.DESCRIPTOR.name))}"

    def subject_of(self, fact: Message) -> str:
        """Full subject of one fact.

        Raises:
            InvalidArgument: the token is empty or could split the subject.
        """
        value = getattr(fact, self.token_field)
        token = value if isinstance(value, str) else value.id
        if not _TOKEN.fullmatch(token):
            raise InvalidArgument("a fact's subject token is not well-formed")
        return f"{self.subject}.{token}"


def kind_of(message: type[Message]) -> FactKind:
    """The declaration of a message that is a fact.

    Raises:
        TypeError: the proto does not mark it as a fact.
    """
    descriptor = message.DESCRIPTOR
    if not descriptor.GetOptions().HasExtension(options_pb2.fact):
        raise TypeError(f"{descriptor.full_name} is not declared as a fact")
    declared = descriptor.GetOptions().Extensions[options_pb2.fact]
    package = descriptor.file.package
    return FactKind(
        message=message,
        stream=stream_of(package.split(".")[1]),
        subject=".".join((package, *_words(descriptor.name))),
        readers=tuple(declared.readers),
        token_field=declared.token or "project",
        broadcast=declared.broadcast,
    )


def stream_of(room: str) -> str:
    """Name of the stream that a room writes."""
    return f"IRP_{room.upper()}"


def every_fact() -> Iterator[FactKind]:
    """All facts that the protos declare."""
    for room in ROOMS:
        module = importlib.import_module(f"irp.{room}.v1.events_pb2")
        for name, descriptor in module.DESCRIPTOR.message_types_by_name.items():
            if descriptor.GetOptions().HasExtension(options_pb2.fact):
                yield kind_of(getattr(module, name))


def fact_id(fact: Message) -> str:
    """Identity of a fact: the hash of what it says."""
    body = fact.SerializeToString(deterministic=True)
    return hashlib.sha256(fact.DESCRIPTOR.full_name.encode() + b"\0" + body).hexdigest()


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z][a-z0-9]*", name)]

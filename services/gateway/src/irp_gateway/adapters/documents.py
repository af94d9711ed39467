"""Configuration documents as people write them: JSON or YAML, read without making objects or growing without bound."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from irp_gateway.domain.errors import BodyNotReadable

MAX_DEPTH, MAX_EVENTS = 32, 100_000  # of a YAML document: nested levels, and marks of its structure

_BOOL, _TIMESTAMP = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"


class _Plain(yaml.CSafeLoader):
    """YAML whose only truths are `true` and `false`, as in YAML 1.2: the key `on` is a word."""


_Plain.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag not in {_BOOL, _TIMESTAMP}]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Plain.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|false)$"), list("tf"))


def read_document(body: bytes) -> Any:
    """The document; takes time where it is long: not for the event loop.

    Raises:
        BodyNotReadable: neither JSON nor YAML, with aliases, nested too deeply, or with a NUL in a text.
    """
    try:
        document = _json(body)
        if document is None:
            _look_through(body)
            document = yaml.load(body, _Plain)  # noqa: S506  a SafeLoader
        if "\\u0000" in json.dumps(document, default=str):
            raise BodyNotReadable("a text of a configuration document has no NUL")
        return document
    except (yaml.YAMLError, ValueError, RecursionError):
        raise BodyNotReadable("a configuration document is JSON or YAML") from None


def _json(body: bytes) -> Any:
    """What most programs send, a hundred times as fast as YAML; None if it is not JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def _look_through(body: bytes) -> None:
    """Before anything is built: a parser goes as deep as a document is nested, and an alias can be a whole tree."""
    depth = 0
    for number, event in enumerate(yaml.parse(body, yaml.CSafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            raise BodyNotReadable("aliases are not allowed in a configuration document: they can grow without bound")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or number > MAX_EVENTS:
            raise BodyNotReadable(f"a configuration document has at most {MAX_DEPTH} levels and {MAX_EVENTS} parts")

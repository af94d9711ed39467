"""Configuration documents as people write them: JSON or YAML, read without making objects or growing without bound."""

from __future__ import annotations

import re
from typing import Any

import yaml

from irp_gateway.domain.errors import BodyNotReadable

_BOOL, _TIMESTAMP = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"


class _Plain(yaml.SafeLoader):
    """YAML whose only truths are `true` and `false`, as in YAML 1.2: the key `on` is a word."""


_Plain.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag not in {_BOOL, _TIMESTAMP}]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Plain.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|false)$"), list("tf"))


def read_document(body: bytes) -> Any:
    """The document; JSON is YAML.

    Raises:
        BodyNotReadable: neither JSON nor YAML, or with aliases.
    """
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(body)):
            raise BodyNotReadable("aliases are not allowed in a configuration document: they can grow without bound")
        return yaml.load(body, _Plain)  # noqa: S506  a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError):
        raise BodyNotReadable("a configuration document is JSON or YAML") from None

"""Configuration documents: YAML as people write it, where `on` and `no` are words and not truth values (YAML 1.2)."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

TEMPLATES = ("myocarditis",)
_TRUTH = "tag:yaml.org,2002:bool"


class _Plain(yaml.SafeLoader):
    """SafeLoader with true and false as the only truth values."""


_Plain.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != _TRUTH]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Plain.add_implicit_resolver(_TRUTH, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def read_document(text: str) -> dict[str, Any]:
    """YAML or JSON text -> document.

    Raises:
        ValueError: it is neither, or not a mapping.
    """
    try:
        document = yaml.load(text, _Plain)  # noqa: S506  a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(f"the document is not YAML: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("the document is not a mapping of names to values")
    return document


def read_file(path: Path) -> dict[str, Any]:
    """A document from a file; see `read_document`."""
    return read_document(path.read_text())


def template_text(name: str) -> str:
    """A template that ships with the SDK, as YAML with comments.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in TEMPLATES:
        raise ValueError(f"templates are: {', '.join(TEMPLATES)}")
    return resources.files("openirp.templates").joinpath(f"{name}.yaml").read_text()


def template(name: str) -> dict[str, Any]:
    """A template as a document; see `template_text`."""
    return read_document(template_text(name))

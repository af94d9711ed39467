"""References of a MONAI configuration (`@name#key#0`), followed to plain values. Nothing is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from irp_bundle.errors import PipelineNotDerived

MAX_DEPTH = 12  # of values in values, and of references to references
MAX_VALUES = 4096  # in all: references to references must not grow without end
WHOLE_PARTS = ("@preprocessing",)  # what only names another part stays a name


def resolved(value: Any, config: Mapping[str, Any]) -> Any:
    """The value with plain references replaced by what they lead to; expressions stay text.

    Raises:
        PipelineNotDerived: it leads nowhere, in a circle, or to more than MAX_VALUES.
    """
    return _resolved(value, config, 0, [0])


def _resolved(value: Any, config: Mapping[str, Any], depth: int, count: list[int]) -> Any:
    count[0] += 1
    if depth > MAX_DEPTH or count[0] > MAX_VALUES:
        raise PipelineNotDerived("references lead in a circle, or too far")
    if isinstance(value, Mapping):
        return {str(key): _resolved(inner, config, depth + 1, count) for key, inner in value.items()}
    if isinstance(value, list):
        return [_resolved(inner, config, depth + 1, count) for inner in value]
    reference = value.removeprefix("$") if isinstance(value, str) else ""  # `$@name` is `@name`: nothing to evaluate
    if reference.startswith("@") and reference not in WHOLE_PARTS and _is_plain(reference):
        found = _found(reference[1:], config)
        # An expression has no value here; whoever needs one sees its text.
        return _resolved(found, config, depth + 1, count)
    return value


def _is_plain(reference: str) -> bool:
    return all(part.replace("_", "").replace("-", "").isalnum() for part in reference[1:].replace("::", "#").split("#"))


def _found(path: str, config: Mapping[str, Any]) -> Any:
    place: Any = config
    for key in path.replace("::", "#").split("#"):
        try:
            place = place[int(key)] if isinstance(place, list) else place[key]
        except (KeyError, IndexError, TypeError, ValueError):
            raise PipelineNotDerived("a reference leads nowhere") from None
    return place

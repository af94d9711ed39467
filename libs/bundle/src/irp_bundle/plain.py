"""Plain values of a declaration, each within its bounds, or refused by the name of its key."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, get_args

from irp_bundle.errors import PipelineNotValid


def checked(document: object, name: str, known: Sequence[str]) -> dict[str, Any]:
    """An object with known keys only.

    Raises:
        PipelineNotValid: another one.
    """
    if not isinstance(document, Mapping):
        raise PipelineNotValid(f"`{name}` is an object")
    if set(document) - set(known):
        raise PipelineNotValid(f"keys of `{name}` are {', '.join(known)}")
    return dict(document)


def number(value: object, name: str, low: float, high: float, *, whole: bool = False) -> float:
    """A number from `low` to `high`.

    Raises:
        PipelineNotValid: it is none.
    """
    plain = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not plain or not low <= value <= high:  # type: ignore[operator]
        raise PipelineNotValid(f"`{name}` is {'a whole' if whole else 'a'} number from {low:g} to {high:g}")
    return float(value)  # type: ignore[arg-type]


def numbers(
    value: object, name: str, low: float, high: float, counts: Collection[int], *, whole: bool = False
) -> tuple[float, ...]:
    """A list of so many numbers.

    Raises:
        PipelineNotValid: it is none.
    """
    if not isinstance(value, (list, tuple)) or len(value) not in counts:
        few = " or ".join(map(str, sorted(counts)[:3]))
        raise PipelineNotValid(f"`{name}` is a list of {few} numbers")
    return tuple(number(one, name, low, high, whole=whole) for one in value)


def flag(value: object, name: str) -> bool:
    """True or False.

    Raises:
        PipelineNotValid: neither.
    """
    if not isinstance(value, bool):
        raise PipelineNotValid(f"`{name}` is true or false")
    return value


def word(value: object, name: str, known: Collection[str]) -> str:
    """One of some words.

    Raises:
        PipelineNotValid: another one.
    """
    if not isinstance(value, str) or value not in known:
        raise PipelineNotValid(f"`{name}` is one of {', '.join(known)}")
    return value


def words_of(literal: Any) -> tuple[str, ...]:
    """Those of a Literal."""
    return tuple(map(str, get_args(literal)))

"""What a method can be told: each parameter's range and meaning stand at the field that holds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

from irp_inference.domain.errors import ParametersNotValid

Kind = Literal["number", "integer", "boolean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a method.

    Attributes:
        name: as one says it.
        text: what it means, with its unit.
        kind: of its values.
        default: what counts if nothing is said; None = the method finds it out.
        low, high: its range, both ends included; meaningless for booleans.
        choices: the only values; empty = the whole range.
    """

    name: str
    text: str
    kind: Kind
    default: float | bool | None
    low: float = 0
    high: float = 0
    choices: tuple[int, ...] = ()

    def read(self, value: object) -> float | bool:
        """A value as the method takes it. ParametersNotValid if it is of another kind, or out of range."""
        if self.kind == "boolean":
            if not isinstance(value, bool):
                raise ParametersNotValid(f"{self.name} is true or false")
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not self.low <= value <= self.high:
            raise ParametersNotValid(f"{self.name} is a number from {self.low:g} to {self.high:g}")
        if self.choices and value not in self.choices:
            raise ParametersNotValid(f"{self.name} is {' or '.join(map(str, self.choices))}")
        if self.kind == "number":
            return float(value)
        if value != int(value):
            raise ParametersNotValid(f"{self.name} is a whole number")
        return int(value)


def number(default: float | None, low: float, high: float, text: str) -> Any:
    """A field of a method's dataclass that holds a number."""
    return field(default=default, metadata={"text": text, "kind": "number", "low": low, "high": high})


def integer(default: int, low: int, high: int, text: str, choices: tuple[int, ...] = ()) -> Any:
    """A field that holds a whole number."""
    said = {"text": text, "kind": "integer", "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=said)


def boolean(default: bool, text: str) -> Any:
    """A field that is true or false."""
    return field(default=default, metadata={"text": text, "kind": "boolean"})


def parameters_of(method: type[Any]) -> Mapping[str, Parameter]:
    """What a method's dataclass takes, in its order."""
    return {parameter.name: parameter for parameter in _each(method)}


def _each(method: type[Any]) -> Iterator[Parameter]:
    for one in fields(method):
        if one.default is MISSING or not one.metadata:
            raise TypeError(f"{method.__name__}.{one.name} says no default or no meaning")
        yield Parameter(name=one.name, default=one.default, **one.metadata)

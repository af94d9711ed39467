"""What a request says beside its numbers, typed: it is read here, or refused in words.

Null is as if it were not said, and what has no name here is ignored, as Triton does; numbers written as text are taken.
"""

from __future__ import annotations

from typing import Any, TypeVar

from irp_kernel.errors import InvalidArgument
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

MOST_AXES = 8  # of a tensor; networks have four or five


class _Form(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, given: Any) -> Any:
        return {key: value for key, value in given.items() if value is not None} if isinstance(given, dict) else given


Form = TypeVar("Form", bound=_Form)


class Parameters(_Form):
    """Of a request."""

    priority: int = Field(0, ge=0)
    """0 and 1 = somebody waits; more = later."""
    timeout: float = Field(0, ge=0, allow_inf_nan=False)
    """Microseconds; 0 = as long as it takes."""
    sequence_id: Any = None
    binary_data_output: bool = False


class TensorParameters(_Form):
    """Of the input."""

    binary_data_size: int | None = None
    """Bytes behind the JSON."""
    shared_memory_region: Any = None


class Tensor(_Form):
    """The input."""

    name: str
    datatype: str
    shape: list[int] = Field(max_length=MOST_AXES)
    parameters: TensorParameters = TensorParameters()
    data: Any = None
    """Numbers, nested or not; which of them are none is numpy's to say."""


class OutputParameters(_Form):
    """Of an output that is wanted."""

    binary_data: bool = False
    classification: Any = None


class Output(_Form):
    """An output that is wanted."""

    name: str
    parameters: OutputParameters = OutputParameters()


class InferBody(_Form):
    """The JSON of an inference by REST."""

    id: str = ""
    inputs: list[Tensor] = Field(min_length=1, max_length=1)
    outputs: list[Output] = []
    parameters: Parameters = Parameters()

    @field_validator("id")
    @classmethod
    def _is_text(cls, id_: str) -> str:
        """JSON can escape half of a pair of surrogates, which no answer can repeat."""
        if not id_.isascii() and any("\ud800" <= character <= "\udfff" for character in id_):
            raise ValueError("half a character")
        return id_

    @property
    def wants_binary(self) -> bool:
        """True if the logits shall come as bytes."""
        if self.outputs:
            return any(output.parameters.binary_data for output in self.outputs)
        return self.parameters.binary_data_output


class IndexBody(_Form):
    """The JSON of a look at the repository."""

    ready: bool = False


class LoadBody(_Form):
    """The JSON of a load."""

    parameters: dict[str, Any] = {}


def read(form: type[Form], given: object, *at: str) -> Form:
    """Plain values -> a form.

    Args:
        form: which.
        given: from outside.
        at: where they stand in the request, for the words of a refusal.

    Raises:
        InvalidArgument: it says where the first mistake is, and never what was sent.
    """
    try:
        return form.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join([*at, *map(str, first["loc"])])
        raise InvalidArgument(f"{where}: {first['msg']}") from None

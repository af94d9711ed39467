"""What methods say of themselves, on the wire."""

from __future__ import annotations

import json

from irp.inference.v1 import inference_service_pb2 as pb

from irp_inference.domain.algorithms.parameters import Parameter, parameters_of
from irp_inference.domain.algorithms.table import Described


def described(name: str, known: Described) -> pb.AlgorithmDescription:
    """Method -> message."""
    parameters = [_parameter(one) for one in parameters_of(known.kind).values()]
    return pb.AlgorithmDescription(
        name=name, finds=known.finds, marks=known.marks, parameters=parameters, volume=known.across_slices
    )


def _parameter(one: Parameter) -> pb.AlgorithmParameter:
    return pb.AlgorithmParameter(
        name=one.name,
        text=one.text,
        kind=one.kind,
        default=json.dumps(one.default),
        low=one.low,
        high=one.high,
        choices=one.choices,
    )

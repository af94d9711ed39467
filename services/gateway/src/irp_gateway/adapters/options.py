"""How a model's answer is made, beyond labels: looks, uncertainty, an estimate. As people say it, and are told it."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from irp.inference.v1 import inference_service_pb2 as pb
from irp_kernel import Volume
from irp_kernel.codec import encode_volume
from pydantic import BaseModel, ConfigDict, Field

from irp_gateway.adapters.labels import geometry_of

DIGITS = 4


class OptionsBody(BaseModel):
    """Options of a model's answer."""

    model_config = ConfigDict(extra="forbid")

    test_time_augmentation: bool = Field(
        False, description="look again under the mirrors and turns that the model's bundle declares; slower"
    )
    estimate: bool = Field(False, description="what the network expects of its own Dice, per structure")
    uncertainty: bool = Field(False, description="compute a map of it; with `answer` uncertainty it is what comes back")

    def to_proto(self) -> pb.Options:
        """As inference is asked."""
        return pb.Options(**self.model_dump())


def estimate_json(answer: pb.SegmentResponse) -> dict[str, Any]:
    """Warnings in words and for programs, and figures if they were asked for."""
    found = answer.estimate
    warnings = [{"code": code, "text": text} for code, text in zip(found.warning_codes, found.warnings, strict=True)]
    if not found.expected_dice:
        return {"warnings": warnings}
    expected = {name: round(value, DIGITS) for name, value in found.expected_dice.items()}
    return {"warnings": warnings, "dice": round(found.dice, DIGITS), "expected_dice": expected}


def uncertainty_file(answer: pb.SegmentResponse, media_type: str) -> bytes:
    """The map on the series' whole grid, 0 (certain) to 255, 0 where nothing was asked; call it in a thread."""
    labels, geometry = answer.labels, geometry_of(answer.grid)
    found = np.frombuffer(zlib.decompress(answer.uncertainty), dtype=np.uint8)
    full = np.zeros(geometry.array_shape, dtype=np.uint8)
    full[np.ix_(labels.frames, labels.slices)] = found.reshape(
        len(labels.frames), len(labels.slices), labels.rows, labels.columns
    )
    return encode_volume(Volume(geometry=geometry, array=full), media_type)

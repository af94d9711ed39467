"""The heart that every canned answer is about."""

from __future__ import annotations

import numpy as np
from irp.common.v1 import types_pb2
from irp_kernel import CANONICAL, Geometry, Label, LabelTable, Mask, Volume


def a_volume() -> Volume:
    geometry = Geometry(shape=(2, 16, 16), affine=np.diag([8.0, 1.4, 1.4, 1.0]), frames=3)
    return Volume(geometry=geometry, array=np.arange(3 * 2 * 16 * 16, dtype=np.int16).reshape(3, 2, 16, 16))


def a_mask() -> Mask:
    volume = a_volume()
    labels = np.zeros(volume.array.shape, dtype=np.uint8)
    labels[:, :, 4:8, 4:8] = 1
    table = LabelTable((Label(value=1, name=CANONICAL[1]),))
    return Mask.annotated_where_labelled(volume.geometry, labels, table)


PROVENANCE = types_pb2.Provenance(
    actor="inference",
    at="2026-01-01T00:00:00+00:00",
    software="inference/0.1.0",
    model=types_pb2.ModelRef(name="cine", version=2, digest="d" * 64),
    inputs={"volume": "v" * 64},
)

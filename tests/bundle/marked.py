"""A small bundle that takes marks, and a "net" whose answer to marks is arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from irp_bundle import build_network, write_bundle
from numpy.typing import NDArray

from .builders import NET

SIZE = 32
FEATURES = 3
ENCODER = {**NET, "out_channels": FEATURES}
PROMPTS: dict[str, Any] = {"kinds": ["click", "scribble"], "encoding": "disk", "radius": 2}


def a_marked_bundle(*, encoder: bool = True, prompts: Any = PROMPTS, inputs: int | None = None) -> bytes:
    torch.manual_seed(0)
    inputs = inputs or (FEATURES if encoder else 1) + 2
    net = {**NET, "in_channels": inputs, "out_channels": 2}
    spec = {"segment": {"size": SIZE}, "post": {"largest_component": False, "fill_holes": False}}
    return write_bundle(
        "marked",
        build_network(net, inputs=(inputs, 0, 0)).state_dict(),
        None,
        {"network_def": net, "encode_def": ENCODER, "irp_pipeline": spec | ({"prompts": prompts} if prompts else {})},
        {"structures": ["lv_blood_pool"]},
        "A phantom's model.",
        "Apache-2.0",
        encode_state=build_network(ENCODER).state_dict() if encoder else None,
    )


class ByMarks:
    """A "net" whose answer is known: features count for nothing, what is marked as inside is pool. It counts passes."""

    def __init__(self) -> None:
        self.passes: list[tuple[str, tuple[int, ...]]] = []

    def __call__(self, stage: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.passes.append((stage, batch.shape))
        if stage == "encode":
            return np.repeat(batch, FEATURES, axis=1)
        inside, outside = batch[:, -2], batch[:, -1]
        return np.stack([0.5 + outside, inside], 1)

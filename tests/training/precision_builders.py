"""A network whose right answer is arithmetic: bright is blood pool. Nothing is learnt, and little is on the border."""

from __future__ import annotations

import numpy as np
import torch
from irp_bundle import build_network, write_bundle
from irp_kernel import Geometry, LabelTable, Mask, Volume, encode_mask, encode_volume
from irp_training.domain.learning.plan import CaseFile
from training_builders import a_case

NET = {"_target_": "UNet", "spatial_dims": 2, "in_channels": 1, "out_channels": 2, "channels": [2, 2], "strides": [2]}
HALFWAY = 2.0  # standard deviations; the pool is at 4, the rest near 0


def a_threshold() -> bytes:
    """A bundle of one stage: each half-size pixel, standardised, spread over its neighbours, less HALFWAY."""
    spread = torch.tensor([0.5, 1.0, 0.5]).outer(torch.tensor([0.5, 1.0, 0.5]))
    state = {name: torch.zeros_like(tensor) for name, tensor in build_network(NET).state_dict().items()}
    state["model.0.conv.weight"][0, 0, 1, 1] = 1.0
    state["model.0.adn.A.weight"] += 1.0
    state["model.2.conv.weight"][0] = torch.stack([-spread, spread])
    state["model.2.conv.bias"] += torch.tensor([HALFWAY, -HALFWAY])
    config = {"network_def": NET, "irp_pipeline": {"segment": {"size": 64}}}
    return write_bundle("threshold", state, None, config, {"structures": ["lv_blood_pool"]}, "A phantom.", "CC0-1.0")


def a_pool(seed: int) -> tuple[Volume, Mask]:
    """A bright disc somewhere in three slices of 64 x 64."""
    random = np.random.default_rng(seed)
    geometry = Geometry(shape=(3, 64, 64), affine=tuple(map(tuple, np.diag([8.0, 1.5, 1.5, 1.0]).tolist())), frames=1)
    rows, columns = np.mgrid[:64, :64] - 32 - random.integers(-6, 6, (2, 1, 1))
    labels = np.broadcast_to((np.hypot(rows, columns) < 9).astype(np.uint8), geometry.array_shape).copy()
    image = 40.0 + 200.0 * labels + random.normal(0, 5, geometry.array_shape)
    mask = Mask.fully_annotated(geometry, labels, LabelTable.canonical(("lv_blood_pool",)))
    return Volume(geometry=geometry, array=image.astype(np.float32)), mask


def held_out(cases: int = 2) -> list[CaseFile]:
    """Patients of the split `validation`."""
    pools = [a_pool(seed) for seed in range(cases)]
    return [(a_case(seed), "validation", encode_volume(v), encode_mask(m)) for seed, (v, m) in enumerate(pools)]

"""The networks that the benchmarks serve: as bundles, so that every server reads the same OpenVINO files."""

from __future__ import annotations

from pathlib import Path

import torch
from irp_bundle import build_network, write_bundle

ROOT = Path(__file__).resolve().parents[2]
UNET = {
    "_target_": "UNet",
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": 4,
    "channels": [32, 64, 128, 256],
    "strides": [2, 2, 2],
    "num_res_units": 2,
}
SIZE = 192  # pixels
STRUCTURES = ["lv_blood_pool", "lv_myocardium", "rv_blood_pool"]
CHOICES = ("unet", "cine")


def bundle_of(choice: str) -> bytes:
    """The archive of a network.

    Args:
        choice: "unet" = MONAI's `UNet`, 32-64-128-256 channels, two residual units, 192x192 pixels, four channels out,
            random weights of one seed; "cine" = the second stage of the shipped model.
    """
    if choice == "cine":
        return (ROOT / "models" / "cine.zip").read_bytes()
    torch.manual_seed(0)
    return write_bundle(
        "unet",
        build_network(UNET).state_dict(),
        None,
        {"network_def": UNET, "irp_pipeline": {"segment": {"size": SIZE}}},
        {"structures": STRUCTURES},
        "A network with random weights, for benchmarks.",
        "Apache-2.0",
    )

"""Bundles as MONAI's Model Zoo has them, written here anew from what their documentation says."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import torch
import yaml
from monai.networks.nets.unet import UNet

CHANNELS = {"0": "background", "1": "lv_pool", "2": "myocardium", "3": "rv_pool"}
# The network of `ventricular_short_axis_3label`.
PUBLISHED = {
    "_target_": "UNet",
    "spatial_dims": 2,
    "in_channels": 1,
    "out_channels": 4,
    "channels": [16, 32, 64, 128, 256],
    "strides": [2, 2, 2, 2],
    "num_res_units": 2,
}
SMALL = PUBLISHED | {"channels": [4, 8], "strides": [2], "num_res_units": 0}
SCALE = {"_target_": "ScaleIntensityd", "keys": "image"}
SLICES = {"_target_": "SliceInferer", "roi_size": [256, 256], "spatial_dim": 2}
ARGMAX = {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}


def a_zoo_config(
    network: Mapping[str, Any] = SMALL,
    *,
    before: list[dict[str, Any]] | None = None,
    inferer: Mapping[str, Any] = SLICES,
    after: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """configs/inference.json with these parts, and with what MONAI's own tools want around them."""
    first = [
        {"_target_": "LoadImaged", "keys": "image", "image_only": False},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},
    ]
    last = [{"_target_": "EnsureTyped", "keys": "image", "device": "@device"}]
    soft = {"_target_": "Activationsd", "keys": "pred", "softmax": True}
    back = {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image"}
    back |= {"meta_key_postfix": "meta_dict", "nearest_interp": False, "to_tensor": True}
    saved = {"_target_": "SaveImaged", "keys": "pred", "meta_keys": "pred_meta_dict", "output_dir": "@output_dir"}
    return {
        "imports": ["$import glob"],
        "bundle_root": ".",
        "output_dir": "./output",
        "device": "$torch.device('cpu')",
        "network_def": dict(network),
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [*first, *([SCALE] if before is None else before), *last],
        },
        "inferer": dict(inferer),
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [soft, back, *([ARGMAX] if after is None else after), saved],
        },
        "handlers": [{"_target_": "CheckpointLoader", "load_path": "@bundle_root + '/models/model.pt'"}],
    }


def a_zoo_net(network: Mapping[str, Any] = SMALL) -> torch.nn.Module:
    """The network with random weights."""
    torch.manual_seed(4)
    return UNet(**{key: value for key, value in network.items() if key != "_target_"}).eval()


def a_zoo_bundle(
    config: Mapping[str, Any], net: torch.nn.Module, *, as_yaml: bool = False, wrapped: bool = False
) -> bytes:
    """The archive as it is downloaded: compressed, one folder, weights in float32."""
    state = net.state_dict()
    weights, out = io.BytesIO(), io.BytesIO()
    torch.save({"model": state} if wrapped else state, weights)
    pred = {"type": "image", "num_channels": 4, "channel_def": CHANNELS}
    metadata = {"version": "0.3.0", "network_data_format": {"inputs": {}, "outputs": {"pred": pred}}}
    path, text = ("inference.yaml", yaml.safe_dump(dict(config))) if as_yaml else ("inference.json", json.dumps(config))
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ventricles/LICENSE", "Apache License\nVersion 2.0")
        archive.writestr("ventricles/configs/metadata.json", json.dumps(metadata))
        archive.writestr(f"ventricles/configs/{path}", text)
        archive.writestr("ventricles/configs/train.json", "{}")
        archive.writestr("ventricles/docs/README.md", "# Ventricles")
        archive.writestr("ventricles/models/model.pt", weights.getvalue())
    return out.getvalue()

"""Bundles as MONAI's Model Zoo has them, written here anew from what their documentation says."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
import yaml
from irp_bundle import Pipeline, TorchEngine, read_bundle
from irp_kernel import Geometry, Volume
from monai.bundle import ConfigParser
from monai.networks.nets.unet import UNet
from numpy.typing import NDArray

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
SMALL_3D = SMALL | {"spatial_dims": 3}
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
    config: Mapping[str, Any],
    net: torch.nn.Module,
    *,
    as_yaml: bool = False,
    wrapped: bool = False,
    channels: Mapping[str, str] = CHANNELS,
) -> bytes:
    """The archive as it is downloaded: compressed, one folder, weights in float32."""
    state = net.state_dict()
    weights, out = io.BytesIO(), io.BytesIO()
    torch.save({"model": state} if wrapped else state, weights)
    pred = {"type": "image", "num_channels": 4, "channel_def": dict(channels)}
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


def a_chest(rows: int, columns: int, slices: int = 2, affine: NDArray[np.float64] | None = None) -> Volume:
    """Discs of different brightness, noise, each slice another; air around. By itself along the patient's axes.

    `affine` takes (slice, row, column, 1) to LPS mm.
    """
    random = np.random.default_rng(1)
    down, across = np.mgrid[:rows, :columns] / (np.array([rows, columns]).reshape(2, 1, 1) / 200)
    images = [
        200.0 * (np.hypot(down - 90, across - 120 - 5 * n) < 40) + 90.0 * (np.hypot(down - 70, across - 60) < 35 + n)
        for n in range(slices)
    ]
    array = np.stack(images) + random.normal(30, 9, (slices, rows, columns))
    array[:, np.hypot(down[:, :1] - 100, across[:1] - 100) > 95] = 0
    placed = (
        np.array([[0, 0, 1, 0], [0, 1, 0, 0], [8, 0, 0, 0], [0, 0, 0, 1]], np.float64) if affine is None else affine
    )
    geometry = Geometry(shape=(slices, rows, columns), affine=tuple(map(tuple, placed.tolist())))  # type: ignore[arg-type]
    return Volume(geometry=geometry, array=array.astype(np.float32)[None])


def by_monai(config: dict[str, Any], net: torch.nn.Module, volume: Volume, folder: Path) -> NDArray[np.uint8]:
    """The judge: MONAI parses and runs the same configuration on the same image as a NIfTI file: (slice, row, column).

    A network of single images is shown the first slice, as a file of two axes: (row, column).
    """
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine = to_ras @ np.array(volume.geometry.affine)[:, [2, 1, 0, 3]]
    flat = config["network_def"]["spatial_dims"] == 2 and config["inferer"]["_target_"] != "SliceInferer"
    voxels = volume.array[0].transpose(2, 1, 0)
    nibabel.save(nibabel.Nifti1Image(voxels[..., 0] if flat else voxels, affine), folder / "image.nii.gz")
    kept = {**config, "postprocessing": {**config["postprocessing"]}}
    kept["postprocessing"]["transforms"] = config["postprocessing"]["transforms"][:-1]  # it need not be saved
    parser = ConfigParser(kept)
    before, inferer = parser.get_parsed_content("preprocessing"), parser.get_parsed_content("inferer")
    item = before({"image": str(folder / "image.nii.gz")})
    with torch.inference_mode():
        item["pred"] = inferer(item["image"][None], net)[0]
    found = parser.get_parsed_content("postprocessing")(item)["pred"]
    return np.asarray(found)[0].astype(np.uint8).T


def by_us(data: bytes, volume: Volume, **how: Any) -> NDArray[np.uint8]:
    """Labels of the asked slices, (slice, row, column)."""
    bundle = read_bundle(data)
    return Pipeline(bundle, TorchEngine(bundle)).segment(volume, **how).labels[0]

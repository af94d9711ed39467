"""What MONAI's own tools want to find in a bundle, added to what we know.

Expressions beginning with `$` are written for MONAI; nothing in this house evaluates them.
Source: MONAI bundle specification (configs/metadata.json, configs/inference.json).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from irp_bundle.spec import PipelineSpec, Scaling
from irp_bundle.spec_reading import read_spec

BUNDLE_VERSION = "0.1.0"
VALUES: Mapping[Scaling, list[float]] = {"zscore": [-5, 5], "percentile": [0, 1], "clip": [0, 1], "none": []}


def complete_config(config: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """configs/inference.json: stage 2 for plain MONAI, both stages for this house."""
    spec = read_spec(config.get("irp_pipeline", {}))
    own = {key: value for key, value in config.items() if key != "irp_pipeline"}
    # Whoever has a program has it from MONAI's own keys, or needs none of them.
    for_monai = _for_monai(spec, _modality(metadata)) if spec.program is None else {}
    return for_monai | own | {"irp_pipeline": spec.to_json()}


def complete_metadata(name: str, metadata: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """configs/metadata.json with the keys that MONAI's schema requires."""
    spec = read_spec(config.get("irp_pipeline", {}))
    own = dict(metadata)
    if "network_data_format" not in own:
        channels = _inputs(config)
        own["network_data_format"] = _data_format(
            ("background", *own["structures"]), spec, _modality(metadata), channels
        )
    return {
        "name": name,
        "version": BUNDLE_VERSION,
        "monai_version": version("monai").split("+")[0],
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "optional_packages_version": {},
        "task": "Segmentation of the heart in short-axis MR images",
        "description": "Two-stage pipeline: box of the left ventricle, then segmentation inside it",
        "authors": "OpenIRP",
        "copyright": "see docs/license.txt",
    } | own


def _modality(metadata: Mapping[str, Any]) -> str:
    return str(metadata.get("modality", "MR"))


def _inputs(config: Mapping[str, Any]) -> int:
    """Channels that stage 2 takes: the image alone, with its neighbours, or with marks."""
    definition = config.get("network_def")
    return int(definition.get("in_channels", 1)) if isinstance(definition, Mapping) else 1


def _data_format(channels: tuple[str, ...], spec: PipelineSpec, modality: str, inputs: int) -> dict[str, Any]:
    further = "features and marks" if spec.prompts else "neighbouring slice"
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": modality,
        "num_channels": inputs,
        "spatial_shape": list(spec.input_shape[1:]),
        "dtype": "float32",
        "value_range": VALUES.get(spec.segment.normalise.kind, []) if spec.program is None else [],
        "is_patch_data": False,
        "channel_def": {"0": "image"} | {str(number): further for number in range(1, inputs)},
    }
    pred = image | {
        "format": "segmentation",
        "num_channels": len(channels),
        "value_range": [0, len(channels) - 1],
        "channel_def": {str(number): name for number, name in enumerate(channels)},
    }
    return {"inputs": {"image": image}, "outputs": {"pred": pred}}


def _for_monai(spec: PipelineSpec, modality: str) -> dict[str, Any]:
    """Stage 2 alone, for a crop that somebody else made."""
    return {
        "imports": ["$import glob"],
        "bundle_root": ".",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "dataset_dir": "data",
        "datalist": "$sorted(glob.glob(@dataset_dir + '/*.nii.gz'))",
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "EnsureChannelFirstd", "keys": "image"},
                {"_target_": "Resized", "keys": "image", "spatial_size": list(spec.segment.input_shape[1:])},
                {"_target_": "NormalizeIntensityd", "keys": "image"},
            ],
        },
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            ],
        },
        "displayable_configs": {"modality": modality},
    }

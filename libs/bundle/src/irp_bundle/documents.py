"""A bundle's texts: plain JSON, or plain YAML without tags and aliases, within limits. Nothing is evaluated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from irp_bundle.archive import Limits
from irp_bundle.errors import BundleBroken, BundleTooLarge

CONFIG, YAML_CONFIG = "configs/inference.json", "configs/inference.yaml"
YAML_BYTES = 256 << 10  # reading takes a second per megabyte
REFUSED = (yaml.AliasToken, yaml.AnchorToken, yaml.TagToken)  # aliases of aliases grow without end


def text_of(files: Mapping[str, bytes], path: str, limits: Limits) -> str:
    """A file as text; empty if it is not there.

    Raises:
        BundleTooLarge: longer than `limits.text_bytes`.
    """
    data = files.get(path, b"")
    if len(data) > limits.text_bytes:
        raise BundleTooLarge(limit_bytes=limits.text_bytes)
    return data.decode("utf-8", errors="replace")


def json_of(files: Mapping[str, bytes], path: str, limits: Limits) -> dict[str, Any]:
    """A file as a JSON object.

    Raises:
        BundleBroken: it is missing, or no JSON object.
        BundleTooLarge: see `text_of`.
    """
    try:
        document = json.loads(text_of(files, path, limits))
    except (ValueError, RecursionError) as cause:
        raise BundleBroken(f"{path} is missing or not JSON") from cause
    if not isinstance(document, dict):
        raise BundleBroken(f"{path} is not an object")
    return document


def configuration_of(files: Mapping[str, bytes], limits: Limits) -> dict[str, Any]:
    """configs/inference.json, or else configs/inference.yaml; raises as `json_of` and `read_yaml`."""
    if CONFIG in files or YAML_CONFIG not in files:
        return json_of(files, CONFIG, limits)
    return read_yaml(files[YAML_CONFIG])


def read_yaml(data: bytes) -> dict[str, Any]:
    """File bytes -> object.

    Raises:
        BundleBroken: not YAML, tags or aliases, or no object.
        BundleTooLarge: longer than YAML_BYTES.
    """
    if len(data) > YAML_BYTES:
        raise BundleTooLarge(limit_bytes=YAML_BYTES)
    try:
        if any(isinstance(token, REFUSED) for token in yaml.scan(data, Loader=yaml.SafeLoader)):
            raise BundleBroken("configs/inference.yaml holds tags or aliases")
        document = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError) as cause:
        raise BundleBroken("configs/inference.yaml is not YAML") from cause
    if not isinstance(document, dict):
        raise BundleBroken("configs/inference.yaml is not an object")
    return {str(key): value for key, value in document.items()}

"""configs/inference.yaml: plain values only, in bounded time. No tags, and no aliases, which grow without end."""

from __future__ import annotations

from typing import Any

import yaml

from irp_bundle.errors import BundleBroken, BundleTooLarge

YAML_BYTES = 256 << 10  # reading takes a second per megabyte
REFUSED = (yaml.AliasToken, yaml.AnchorToken, yaml.TagToken)


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

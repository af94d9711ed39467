"""What lies in a bundle and is not read here: for other tools, or by mistake. For reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from irp_bundle.bundle import CARD, KNOWN, LICENCE, METADATA, ROOT_LICENCE
from irp_bundle.documents import CONFIG, YAML_CONFIG

READ_KEYS = frozenset({"network_def", "locate_def", "encode_def", "irp_pipeline"})
DERIVED_KEYS = frozenset({"irp_pipeline", "network_def", "preprocessing", "inferer", "postprocessing"})


def unread_files(files: Iterable[str]) -> list[str]:
    """Paths below the bundle's folder that nothing here opens, sorted."""
    return sorted(set(files) - KNOWN - {CARD, CONFIG, LICENCE, METADATA, ROOT_LICENCE, YAML_CONFIG})


def unread_keys(config: Mapping[str, Any], *, derived: bool) -> list[str]:
    """Top keys of configs/inference.json that nothing here reads, sorted.

    Args:
        config: as it was read.
        derived: the pipeline was made from MONAI's own keys.
    """
    return sorted(set(config) - (DERIVED_KEYS if derived else READ_KEYS))

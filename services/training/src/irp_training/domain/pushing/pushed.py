"""What a pushed bundle says about itself, once it has been read safely."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from irp_bundle import Bundle, read_bundle
from irp_kernel import CANONICAL

from irp_training.domain.errors import InspectionFailed

LICENCE_LIMIT = 400  # characters shown in lists
DIGEST_LENGTH = 64
FIGURES_LIMIT = 64 << 10  # bytes as JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Facts for the registry's row."""

    structures: tuple[str, ...]
    licence: str
    dataset_digest: str
    figures: dict[str, Any]


def describe(data: bytes) -> About:
    """Read a bundle.

    Raises:
        BundleBroken, BundleUnsafe, BundleTooLarge, NetworkNotAllowed, PipelineNotValid, ChannelsNotKnown.
    """
    return about(read_bundle(data))


def about(bundle: Bundle) -> About:
    """What a bundle that was read says."""
    figures = bundle.metadata.get("figures")
    kept = isinstance(figures, dict) and len(json.dumps(figures)) <= FIGURES_LIMIT
    return About(
        structures=bundle.structures,
        licence=first_paragraph(bundle.licence),
        dataset_digest=str(bundle.metadata.get("dataset_digest", ""))[:DIGEST_LENGTH],
        figures=dict(figures) if isinstance(figures, dict) and kept else {},
    )


def about_from_report(report: Mapping[str, Any]) -> About:
    """What the sandbox says of a bundle: believed only as far as it has the right form.

    Raises:
        InspectionFailed: it has not.
    """
    said = report.get("about")
    if not isinstance(said, dict):
        raise InspectionFailed
    structures, figures = said.get("structures"), said.get("figures")
    if not isinstance(structures, list) or not set(map(str, structures)) <= set(CANONICAL.values()):
        raise InspectionFailed
    return About(
        structures=tuple(map(str, structures)),
        licence=str(said.get("licence", ""))[:LICENCE_LIMIT],
        dataset_digest=str(said.get("dataset_digest", ""))[:DIGEST_LENGTH],
        figures=figures if isinstance(figures, dict) and len(json.dumps(figures)) <= FIGURES_LIMIT else {},
    )


def first_paragraph(licence: str) -> str:
    """The licence's own first words: what a list shows."""
    return " ".join(licence.strip().split("\n\n", 1)[0].split())[:LICENCE_LIMIT]

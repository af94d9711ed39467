"""What a pushed bundle says about itself, once it has been read safely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from irp_bundle import read_bundle

LICENCE_LIMIT = 400  # characters shown in lists


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
    bundle = read_bundle(data)
    figures = bundle.metadata.get("figures")
    return About(
        structures=bundle.structures,
        licence=first_paragraph(bundle.licence),
        dataset_digest=str(bundle.metadata.get("dataset_digest", ""))[:64],
        figures=figures if isinstance(figures, dict) else {},
    )


def first_paragraph(licence: str) -> str:
    """The licence's own first words: what a list shows."""
    return " ".join(licence.strip().split("\n\n", 1)[0].split())[:LICENCE_LIMIT]

"""What radiomics can be told."""

from __future__ import annotations

from irp_chassis import ServiceSettings


class Settings(ServiceSettings):
    """Settings of radiomics."""

    heatmap_features: int = 40
    """Features that a heat-map shows when the request says no number."""

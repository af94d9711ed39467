"""What the quality room can be told."""

from __future__ import annotations

from irp_chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of quality: those that every room has."""

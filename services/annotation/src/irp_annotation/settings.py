"""What the annotation room can be told."""

from __future__ import annotations

from irp_chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """Settings of annotation: those that every room has."""

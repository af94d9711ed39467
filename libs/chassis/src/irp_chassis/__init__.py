"""How a service stands up: settings, doors, facts, objects, tables, telemetry, life and death. No medicine."""

from irp_chassis.room import Room, run_room
from irp_chassis.settings import ServiceSettings

__all__ = ["Room", "ServiceSettings", "run_room"]

"""The whole house on one machine: real parts, seven rooms, one supervisor. Comes in: a folder. Goes out: addresses."""

from openirp.house.house import House
from openirp.house.layout import ROOMS
from openirp.house.trouble import HouseTrouble

__all__ = ["ROOMS", "House", "HouseTrouble"]

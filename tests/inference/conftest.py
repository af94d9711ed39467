"""Fixtures of the classification server's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from irp_chassis.settings import ServiceSettings

from .room import World


@pytest.fixture
async def world(service_settings: ServiceSettings) -> AsyncIterator[World]:
    world = World(service_settings)
    await world.begin()
    yield world
    await world.end()

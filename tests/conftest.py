"""Fixtures that every test may ask for."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
from irp_kernel import Mask, Volume

pytest_plugins = ["irp_chassis.testing.fixtures"]


@pytest.fixture(scope="session")
def real_heart() -> Callable[[str], tuple[Volume, Mask]]:
    """Volume and expert's mask of a CC0 patient by name."""
    from .real_hearts import real_heart as read

    return functools.cache(read)

"""Fixtures that every test may ask for."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
from irp_kernel import Mask, Volume

pytest_plugins = ["irp_chassis.testing.fixtures"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Processes share the work by file, so that each sets up a module's fixtures once; stories share one house.

    These come first: they take longest, and nobody waits for them at the end.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=lambda item: item.get_closest_marker("flow") is None)


@pytest.fixture(scope="session")
def real_heart() -> Callable[[str], tuple[Volume, Mask]]:
    """Volume and expert's mask of a CC0 patient by name."""
    from .real_hearts import real_heart as read

    return functools.cache(read)

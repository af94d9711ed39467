"""FastAPI sends a plain function to a thread and waits for it: half a millisecond to look nothing up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import iscoroutinefunction
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from irp_gateway.adapters.web import DOORS

ROUTES = [route for door in DOORS for route in door.router.routes if isinstance(route, APIRoute)]


def calls(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    """The address's own function, and everything that it depends on."""
    if dependant.call is not None:
        yield dependant.call
    for needed in dependant.dependencies:
        yield from calls(needed)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{min(route.methods)} {route.path}")
def test_nothing_at_a_door_takes_a_thread(route: APIRoute) -> None:
    assert [call.__name__ for call in calls(route.dependant) if not iscoroutinefunction(call)] == []

"""A house of its own for a benchmark, and where its figures are kept."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openirp.documents import template
from openirp.house import House
from openirp.house.layout import ROOMS
from openirp.project import Project

KEPT = Path(__file__).resolve().parents[1] / "out" / "bench"


@contextmanager
def standing(
    *, rooms: Sequence[str] = ROOMS, before: Callable[[House], None] | None = None, **configuration: Any
) -> Iterator[tuple[House, Project]]:
    """A ready house on free ports with an empty project; gone with the block.

    Args:
        rooms: those that it needs.
        before: what is done while nothing runs yet.
        configuration: of the project, beyond the template.
    """
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder) / "irp", ports="auto", rooms=rooms)
        if before is not None:
            before(house)
        house.start()
        try:
            house.wait_ready()
            yield house, house.client().create_project({**template("myocarditis"), "name": "bench", **configuration})
        finally:
            house.stop()


def keep(name: str, found: Any) -> None:
    """Write out/bench/NAME.json."""
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")

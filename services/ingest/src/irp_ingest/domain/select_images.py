"""Which images of a series its volume is made of: one component of complex images, and no copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from irp_ingest.domain.component import MAGNITUDE_FIRST
from irp_ingest.domain.plane import Frame, Plane

Planes = Mapping[Frame, Plane]


def select(planes: Planes, preference: Sequence[str] = MAGNITUDE_FIRST) -> tuple[dict[Frame, Plane], list[str]]:
    """The images of the volume, and in plain words what was left out.

    Args:
        planes: of all images of the series.
        preference: components of complex images, the one wanted most first.
    """
    chosen, others = _one_component(planes, preference)
    kept = dict(_without_copies(chosen))
    copies = len(chosen) - len(kept)
    told = [others] if others else []
    if copies:
        told.append(f"{copies} of {len(chosen)} images are left out: they are copies of others")
    return kept, told


def _one_component(planes: Planes, preference: Sequence[str]) -> tuple[dict[Frame, Plane], str]:
    counts = Counter(plane.component for plane in planes.values())
    present = [component for component in preference if counts[component]]
    if len(present) < 2:
        return dict(planes), ""
    others = ", ".join(
        f"{count} {name or 'of unknown component'}" for name, count in sorted(counts.items()) if name != present[0]
    )
    chosen = {frame: plane for frame, plane in planes.items() if plane.component == present[0]}
    return chosen, f"the volume holds the {present[0]} images; not in it: {others}"


def _without_copies(planes: Planes) -> Iterator[tuple[Frame, Plane]]:
    """Images sent twice under different UIDs: same place, same time, same pixels; the lowest number stays.

    Phases that only their instance number tells apart may be alike (of an empty image, say): they all stay.
    """
    seen = set()
    for frame, plane in sorted(planes.items(), key=lambda item: (item[1].instance_number, item[0])):
        timed = plane.trigger or plane.time or plane.phases_said <= 1
        key = (plane.position_mm, plane.orientation, plane.spacing_mm, plane.time, plane.content)
        if plane.content and timed and key in seen:
            continue
        seen.add(key)
        yield frame, plane

"""Where a reader may scroll to next."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """One slice of a series."""

    series: str
    frame: int
    slice: int


@dataclass(frozen=True, slots=True)
class Heading:
    """How a reader moves: steps along (frame, slice), -1, 0 or 1; both 0 = not known yet."""

    frame: int = 0
    slice: int = 0


def heading(before: Place | None, here: Place, last: Heading) -> Heading:
    """The way from one place to the next; a reader who stays keeps it, one who jumps elsewhere has none."""
    if before is None or before.series != here.series:
        return Heading()
    if before == here:
        return last
    if before.frame != here.frame and before.slice != here.slice:
        return Heading()
    return Heading(_sign(here.frame - before.frame), _sign(here.slice - before.slice))


def ahead_of(here: Place, way: Heading, frames: int, slices: int, steps: int) -> list[Place]:
    """Places to compute, the likeliest first: `steps` along the way; both sides where it is not known."""
    if way == Heading():
        ways = [Heading(0, 1), Heading(0, -1), Heading(1, 0)]
        found = [_step(here, one, 1, frames) for one in ways]
    else:
        found = [_step(here, way, number, frames) for number in range(1, steps + 1)]
    return [place for place in dict.fromkeys(found) if 0 <= place.slice < slices and place != here]


def _step(here: Place, way: Heading, number: int, frames: int) -> Place:
    # A cine goes round: after its last frame comes the first.
    return Place(here.series, (here.frame + way.frame * number) % frames, here.slice + way.slice * number)


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)

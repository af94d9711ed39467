"""What a reader marked, and which method shall look at it, from the wire."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from irp.inference.v1 import inference_service_pb2 as pb

from irp_inference.domain.algorithms.marks import MOST_POINTS_IN_ALL, MOST_SLICES, Box, Click, Marks, Place, Scribble
from irp_inference.domain.algorithms.table import Wanted
from irp_inference.domain.errors import ParametersNotValid, PromptsNotValid

MOST_PARAMETERS = 4096  # bytes


def method_of(request: pb.SegmentRequest) -> Wanted | None:
    """The conventional method that a request names. ParametersNotValid if its parameters are no JSON object."""
    if not request.HasField("algorithm"):
        return None
    asked = request.algorithm
    return Wanted(
        name=asked.name,
        structure=asked.structure,
        parameters=_parameters(asked.parameters),
        within_model=asked.within_model,
        volume=asked.volume,
    )


def marks_of(request: pb.SegmentRequest) -> dict[Place, Marks]:
    """By frame and slice; slices that were asked for without a mark have none.

    Raises:
        PromptsNotValid: nothing is marked or asked for, or too much, or not the same slices in each frame.
    """
    drawn = marked(request)
    wanted = set(request.frames) or {frame for frame, _ in drawn} or {0}
    numbers = set(request.slices)
    if len(wanted) * len(numbers) > MOST_SLICES:
        raise PromptsNotValid(f"mark, or ask for, 1 to {MOST_SLICES} slices")
    asked = {(frame, number): Marks() for frame in sorted(wanted) for number in sorted(numbers)}
    marks = asked | drawn
    frames, slices = {frame for frame, _ in marks}, {number for _, number in marks}
    if not 0 < len(marks) <= MOST_SLICES:
        raise PromptsNotValid(f"mark, or ask for, 1 to {MOST_SLICES} slices")
    if len(marks) < len(frames) * len(slices):
        raise PromptsNotValid("mark the same slices in each frame, or ask frame by frame")
    return marks


def marked(request: pb.SegmentRequest) -> dict[Place, Marks]:
    """What is marked, by frame and slice.

    Raises:
        PromptsNotValid: it is too much, or not well-formed.
    """
    said = request.prompts
    drawn = sum(len(one.points) for one in said.scribbles) // 2
    if len(said.clicks) + 2 * len(said.boxes) + drawn > MOST_POINTS_IN_ALL:
        raise PromptsNotValid(f"at most {MOST_POINTS_IN_ALL} points in one request", limit=MOST_POINTS_IN_ALL)
    found: defaultdict[Place, tuple[list[Click], list[Box], list[Scribble]]] = defaultdict(lambda: ([], [], []))
    for click in said.clicks:
        found[click.frame, click.slice][0].append(Click(row=click.row, column=click.column, inside=click.inside))
    for box in said.boxes:
        corners = {name: getattr(box, name) for name in ("row_first", "column_first", "row_last", "column_last")}
        found[box.frame, box.slice][1].append(Box(**corners))
    for scribble in said.scribbles:
        found[scribble.frame, scribble.slice][2].append(_scribble(scribble))
    return {
        place: Marks(clicks=clicks, boxes=boxes, scribbles=scribbles)
        for place, (clicks, boxes, scribbles) in found.items()
    }


def _scribble(scribble: pb.Scribble) -> Scribble:
    if not scribble.points or len(scribble.points) % 2:
        raise PromptsNotValid("a scribble is (row, column) pairs, one after the other")
    points = tuple(zip(scribble.points[::2], scribble.points[1::2], strict=True))
    return Scribble(points=points, inside=scribble.inside, width=scribble.width or 1.0)


def _parameters(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}") if len(text) <= MOST_PARAMETERS else None
    except (ValueError, RecursionError) as cause:
        raise ParametersNotValid("parameters are a JSON object") from cause
    if not isinstance(found, dict):
        raise ParametersNotValid("parameters are a JSON object")
    return found

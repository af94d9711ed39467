"""What a reader marked, from the wire."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from irp.inference.v1 import inference_service_pb2 as pb

from irp_inference.adapters.compact import options_of
from irp_inference.app.run_algorithm import AlgorithmWish, Place
from irp_inference.domain.algorithms.marks import Box, Click, Marks, Scribble
from irp_inference.domain.errors import OptionsNotOffered, ParametersNotValid, PromptsNotValid

MOST_PARAMETERS = 4096  # bytes


def algorithm_wish_of(request: pb.SegmentRequest) -> AlgorithmWish:
    """What a request wishes of a conventional method.

    Raises:
        PromptsNotValid, ParametersNotValid: what was said is not well-formed.
        OptionsNotOffered: an answer would silently lack what was asked for.
    """
    if options_of(request.options).key:
        raise OptionsNotOffered
    asked = request.algorithm
    return AlgorithmWish(
        project=request.project.id,
        series_uid=request.series_uid,
        name=asked.name,
        structure=asked.structure,
        parameters=_parameters(asked.parameters),
        within_model=asked.within_model,
        marks=_marks(request),
    )


def _marks(request: pb.SegmentRequest) -> dict[Place, Marks]:
    """By frame and slice; slices that were asked for without a mark have none."""
    found: defaultdict[Place, tuple[list[Click], list[Box], list[Scribble]]] = defaultdict(lambda: ([], [], []))
    for frame in request.frames or [0]:
        for number in request.slices:
            found[frame, number]  # asked for, perhaps unmarked
    for click in request.prompts.clicks:
        found[click.frame, click.slice][0].append(Click(row=click.row, column=click.column, inside=click.inside))
    for box in request.prompts.boxes:
        corners = {name: getattr(box, name) for name in ("row_first", "column_first", "row_last", "column_last")}
        found[box.frame, box.slice][1].append(Box(**corners))
    for scribble in request.prompts.scribbles:
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

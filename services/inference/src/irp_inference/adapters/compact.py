"""Answers on the wire: labels of what was asked for, packed, with the series' grid."""

from __future__ import annotations

import zlib

from irp.inference.v1 import inference_service_pb2 as pb
from irp_kernel import Geometry

from irp_inference.adapters.marks import marks_of, method_of
from irp_inference.app.segment_series import Answer, Wish
from irp_inference.domain.errors import OptionsNotOffered

LEVEL = 1  # a slice of labels shrinks 60-fold at once


def labels_to_proto(answer: Answer) -> pb.Labels:
    """Labels, packed; milliseconds of work for whole volumes: call it in a thread."""
    found = answer.segmented
    rows, columns = found.labels.shape[-2:]
    return pb.Labels(
        frames=found.report.frames,
        slices=found.report.slices,
        rows=rows,
        columns=columns,
        data=zlib.compress(found.labels.tobytes(), LEVEL),
        table={label.value: label.name for label in found.table.labels},
    )


def grid_to_proto(geometry: Geometry) -> pb.Grid:
    """Geometry -> message."""
    slices, rows, columns = geometry.shape
    return pb.Grid(
        frames=geometry.frames,
        slices=slices,
        rows=rows,
        columns=columns,
        affine=geometry.matrix.ravel().tolist(),
        frame_times_ms=geometry.frame_times_ms,
    )


def wish_of(request: pb.SegmentRequest) -> Wish:
    """What a request wishes. Answers that depend on what a reader marked are not remembered.

    Raises:
        OptionsNotOffered: an answer that would silently lack what was asked for.
        PromptsNotValid, ParametersNotValid: what was marked or said is not well-formed.
    """
    if request.options.test_time_augmentation or request.options.uncertainty:
        raise OptionsNotOffered
    method = method_of(request)
    marks = marks_of(request) if method or request.HasField("prompts") else {}
    return Wish(
        project=request.project.id,
        series_uid=request.series_uid,
        model="" if method else request.model,
        frames=sorted({frame for frame, _ in marks}) or list(request.frames),
        slices=sorted({number for _, number in marks}) or list(request.slices),
        variant=None if marks else "",
        marks=marks,
        method=method,
    )

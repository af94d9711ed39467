"""Answers on the wire: labels of what was asked for, packed, with the series' grid."""

from __future__ import annotations

import zlib

from irp.inference.v1 import inference_service_pb2 as pb
from irp_kernel import Geometry

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
    """
    if request.options.test_time_augmentation or request.options.uncertainty:
        raise OptionsNotOffered
    marked = request.HasField("prompts") or request.HasField("algorithm")
    return Wish(
        project=request.project.id,
        series_uid=request.series_uid,
        model=request.model,
        frames=list(request.frames),
        slices=list(request.slices),
        variant=None if marked else "",
    )

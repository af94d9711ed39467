"""Answers on the wire: labels of what was asked for, packed, with the series' grid."""

from __future__ import annotations

import zlib

from irp.inference.v1 import inference_service_pb2 as pb
from irp_bundle import Estimate, Options
from irp_kernel import Geometry

from irp_inference.adapters.events import provenance
from irp_inference.adapters.marks import marked, marks_of, method_of
from irp_inference.app.segment_series import Answer, Wish
from irp_inference.domain.algorithms.table import Wanted
from irp_inference.domain.errors import OptionsNotOffered

LEVEL = 1  # a slice of labels shrinks 60-fold at once


def response_of(answer: Answer, subject: str, *, labels: bool = True) -> pb.SegmentResponse:
    """The whole answer, without its labels if they were told before; milliseconds for volumes: call it in a thread."""
    return pb.SegmentResponse(
        provenance=provenance(answer, subject),
        timings_ms=answer.timings_ms,
        labels=_labels_to_proto(answer) if labels else None,
        grid=_grid_to_proto(answer.geometry),
        uncertainty=_packed_uncertainty(answer) if labels else b"",
        estimate=_estimate_to_proto(answer.segmented.estimate),
    )


def _labels_to_proto(answer: Answer) -> pb.Labels:
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


def _packed_uncertainty(answer: Answer) -> bytes:
    """As labels are; empty if it was not asked for."""
    found = answer.segmented.uncertainty
    return b"" if found is None else zlib.compress(found.tobytes(), LEVEL)


def _estimate_to_proto(estimate: Estimate) -> pb.Estimate:
    return pb.Estimate(
        dice=estimate.dice or 0.0,
        warnings=estimate.texts,
        warning_codes=estimate.warnings,
        expected_dice=estimate.expected_dice,
    )


def _grid_to_proto(geometry: Geometry) -> pb.Grid:
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
        OptionsNotOffered: an answer to marks would silently lack what was asked for.
        PromptsNotValid, ParametersNotValid: what was marked or said is not well-formed.
    """
    method, options = method_of(request), options_of(request.options)
    if options.key and (method or request.HasField("prompts")):
        raise OptionsNotOffered
    if method and method.volume:
        return _across(request, method)
    marks = marks_of(request) if method or request.HasField("prompts") else {}
    return Wish(
        project=request.project.id,
        series_uid=request.series_uid,
        model="" if method else request.model,
        frames=sorted({frame for frame, _ in marks}) or list(request.frames),
        slices=sorted({number for _, number in marks}) or list(request.slices),
        variant=None if marks else "",
        options=options,
        marks=marks,
        method=method,
    )


def _across(request: pb.SegmentRequest, method: Wanted) -> Wish:
    """What is marked counts for its whole frame; slices are named by the first and the last."""
    marks = marked(request)
    return Wish(
        project=request.project.id,
        series_uid=request.series_uid,
        frames=sorted({frame for frame, _ in marks} | set(request.frames)) or [0],
        slices=sorted({min(request.slices), max(request.slices)}) if request.slices else (),
        variant=None,
        marks=marks,
        method=method,
    )


def options_of(said: pb.Options) -> Options:
    """Message -> options."""
    return Options(
        test_time_augmentation=said.test_time_augmentation, uncertainty=said.uncertainty, estimate=said.estimate
    )

"""What you learn here: how slices become a series' parameters, and when the verdict changes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from irp_kernel import Geometry, ObjectRef, Slug, Uid, Volume, encode_volume
from irp_quality.adapters.reports import report_from_row, report_to_row, to_document
from irp_quality.adapters.worker import assess_bytes
from irp_quality.app.ports import AssembledSeries, Assessment
from irp_quality.domain.report import SeriesReport, Thresholds, judge
from irp_quality.domain.slice_quality import SliceQuality


def a_slice(index: int = 0, **parameters: float) -> SliceQuality:
    values = {"signal": 100.0, "snr": 20.0, "homogeneity": 0.8, "ghosting": 0.01, "artefact": 0.4} | parameters
    return SliceQuality(slice=index, parameters=values)


AN_EMPTY_SLICE = SliceQuality(slice=9, parameters={}, unknown={"snr": "no signal"})


@pytest.mark.parametrize(
    ("slices", "verdict", "reason"),
    [
        ([a_slice()], "good", ""),
        ([a_slice(snr=9.0)], "review", "SNR 9.0 is below 10"),
        ([a_slice(snr=3.0)], "unusable", "SNR 3.0 is below 4"),
        ([a_slice(ghosting=0.3)], "review", "ghosting is 0.30 of the signal"),
        ([a_slice(homogeneity=0.3)], "review", "homogeneity 0.30 is below 0.4"),
        ([a_slice(), AN_EMPTY_SLICE], "review", "1 of 2 slices show no signal"),
        ([AN_EMPTY_SLICE], "unusable", "1 of 1 slices show no signal"),
        ([SliceQuality(slice=0, parameters={"signal": 5.0})], "review", "the SNR cannot be measured"),
    ],
)
def test_the_verdict_follows_the_stated_thresholds(slices: list[SliceQuality], verdict: str, reason: str) -> None:
    report = judge(slices, Thresholds())
    assert report.verdict == verdict
    assert "; ".join(report.reasons) == reason


def test_a_series_has_the_median_of_the_slices_that_know() -> None:
    report = judge([a_slice(0, snr=10.0), a_slice(1, snr=30.0), a_slice(2, snr=50.0), AN_EMPTY_SLICE], Thresholds())
    assert report.parameters["snr"] == 30.0
    assert "snr" not in report.unknown


def a_report() -> SeriesReport:
    rng = np.random.default_rng(0)
    clean = np.zeros((5, 2, 96, 96))
    clean[:, :, 20:70, 20:70] = 300
    array = np.hypot(clean + rng.normal(0, 5, clean.shape), rng.normal(0, 5, clean.shape))
    affine = ((0.0, 0.0, 1.4, 0.0), (0.0, 1.4, 0.0, 0.0), (8.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    volume = Volume(geometry=Geometry(shape=(2, 96, 96), affine=affine, frames=5), array=array.astype(np.float32))
    return assess_bytes(encode_volume(volume))


def test_the_bytes_of_a_volume_become_a_report_of_every_slice() -> None:
    report = a_report()
    assert [one.slice for one in report.slices] == [0, 1]
    assert report.parameters["noise"] == pytest.approx(5.0, rel=0.1)
    assert {"snr", "cnr", "homogeneity", "artefact"} <= report.parameters.keys()


def test_a_report_survives_its_row() -> None:
    report = a_report()
    assert report_from_row(json.loads(json.dumps(report_to_row(report)))) == report


def test_the_stored_document_says_null_and_why_where_a_number_is_unknown() -> None:
    report = judge(
        [SliceQuality(slice=0, parameters={"signal": 1.0}, unknown={"snr_air": "background masked out"})], Thresholds()
    )
    ref = ObjectRef(bucket="irp-ingest", key="k", sha256="a" * 64, size=1, media_type="application/x-nrrd")
    series = AssembledSeries(project=Slug("demo"), uid=Uid("1.2.3"), version=1, volume=ref)
    document = to_document(
        Assessment(series=series, report=report, at="2026-01-01T00:00:00+00:00", software="quality/0")
    )
    assert document["parameters"]["snr_air"] is None
    assert document["unknown"]["snr_air"] == "background masked out"
    assert "at" not in document, "the same measurement is the same object"

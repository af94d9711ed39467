"""Hangs every door on the app."""

from __future__ import annotations

from fastapi import FastAPI

from irp_gateway.adapters import (
    algorithms,
    challenges,
    clinical,
    containers,
    datasets,
    deidentification,
    dicom_delete,
    dicom_pictures,
    dicom_pixels,
    dicom_retrieve,
    dicom_search,
    dicom_store,
    drift,
    inference_token,
    live,
    members,
    model_reports,
    models,
    operations,
    policy,
    precisions,
    projects,
    proposals,
    quality,
    quarantine,
    radiomics,
    reference,
    registry,
    run_views,
    segment,
    segmentations,
    series,
    series_import,
    serving,
    training,
    validations,
)
from irp_gateway.adapters.desk import Desk

# dicom_retrieve last of its six: its catch-all answers what the others do not offer
DOORS = (
    projects,
    live,
    members,
    dicom_store,
    dicom_search,
    dicom_pictures,
    dicom_pixels,
    dicom_delete,
    dicom_retrieve,
    deidentification,
    series,
    series_import,
    quality,
    quarantine,
    segment,
    algorithms,
    proposals,
    segmentations,
    datasets,
    training,
    run_views,
    policy,
    models,
    model_reports,
    registry,
    serving,
    precisions,
    validations,
    drift,
    containers,
    challenges,
    inference_token,
    radiomics,
    clinical,
    operations,
    reference,
)


def add_doors(app: FastAPI, desk: Desk) -> None:
    """Give the app its desk, its addresses, and their description."""
    app.state.desk = desk
    for door in DOORS:
        app.include_router(door.router)
    reference.describe(app)

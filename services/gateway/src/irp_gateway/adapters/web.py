"""Hangs every door on the app."""

from __future__ import annotations

from fastapi import FastAPI

from irp_gateway.adapters import (
    algorithms,
    challenges,
    clinical,
    containers,
    deidentification,
    dicom_delete,
    dicom_pictures,
    dicom_pixels,
    dicom_retrieve,
    dicom_search,
    dicom_store,
    inference_token,
    live,
    members,
    models,
    operations,
    precisions,
    projects,
    proposals,
    quality,
    quarantine,
    radiomics,
    reference,
    segment,
    segmentations,
    series,
    series_import,
    serving,
    training,
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
    training,
    models,
    serving,
    precisions,
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

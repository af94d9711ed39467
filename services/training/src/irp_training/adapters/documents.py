"""Nouns to JSON documents and back, for the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from irp_kernel import ObjectRef

from irp_training.app.ports import Project
from irp_training.domain.datasets.dataset import Case
from irp_training.domain.drift.blocks import Drift
from irp_training.domain.drift.correction import Correction, Proposal
from irp_training.domain.judging.precision import Trial
from irp_training.domain.pushing.appraisal import Appraisal
from irp_training.domain.registry.candidacy import Candidacy
from irp_training.domain.registry.registry import Model
from irp_training.domain.run import DatasetRow, KeptOverlay, ModelRef, Progress, Run
from irp_training.domain.validations.certificate import Validation

Document = dict[str, Any]


def to_document(noun: Any) -> Document:
    """Any frozen dataclass of this room -> JSON document."""
    return asdict(noun)


def project_from_row(row: Mapping[str, Any]) -> Project:
    """Row -> Project."""
    return Project(
        id=row["project"],
        revision=row["revision"],
        configuration=ObjectRef(**row["configuration"]),
        by_admin=row["by_admin"],
    )


def case_from_document(document: Mapping[str, Any], verdict: str = "", clinical: str = "") -> Case:
    """Document -> Case, with quality's verdict and the hash of the patient's clinical values."""
    refs = {key: ObjectRef(**document[key]) for key in ("volume", "mask")}
    return Case(**{**document, **refs, "verdict": verdict, "clinical": clinical})


def dataset_from_document(document: Mapping[str, Any]) -> DatasetRow:
    """Document -> DatasetRow."""
    return DatasetRow(**{**document, "manifest": ObjectRef(**document["manifest"])})


def run_from_document(document: Mapping[str, Any]) -> Run:
    """Document -> Run."""
    checkpoint = document["checkpoint"]
    nested = {
        "dataset": dataset_from_document(document["dataset"]),
        "base": _model_ref(document["base"]),
        "result": _model_ref(document["result"]),
        "progress": Progress(**document["progress"]),
        "checkpoint": ObjectRef(**checkpoint) if checkpoint else None,
        "replay": tuple(dataset_from_document(row) for row in document.get("replay", [])),
    }
    return Run(**{**document, **nested})


def overlay_from_document(document: Mapping[str, Any]) -> KeptOverlay:
    """Document -> KeptOverlay."""
    return KeptOverlay(**{**document, "picture": ObjectRef(**document["picture"])})


def model_from_document(document: Mapping[str, Any]) -> Model:
    """Document -> Model."""
    nested = {
        "ref": ModelRef(**document["ref"]),
        "bundle": ObjectRef(**document["bundle"]),
        "structures": tuple(document["structures"]),
        "run": tuple(document["run"]) if document["run"] else None,
    }
    return Model(**{**document, **nested})


def candidacy_from_document(document: Mapping[str, Any]) -> Candidacy:
    """Document -> Candidacy."""
    nested = {"model": ModelRef(**document["model"]), "champion": _model_ref(document["champion"])}
    return Candidacy(**{**document, **nested})


def trial_from_document(document: Mapping[str, Any]) -> Trial:
    """Document -> Trial."""
    artefact = document["artefact"]
    nested = {
        "model": ModelRef(**document["model"]),
        "dataset": dataset_from_document(document["dataset"]),
        "progress": Progress(**document["progress"]),
        "artefact": ObjectRef(**artefact) if artefact else None,
    }
    return Trial(**{**document, **nested})


def appraisal_from_document(document: Mapping[str, Any]) -> Appraisal:
    """Document -> Appraisal."""
    dataset = document["dataset"]
    nested = {
        "model": ModelRef(**document["model"]),
        "dataset": dataset_from_document(dataset) if dataset else None,
        "progress": Progress(**document["progress"]),
    }
    return Appraisal(**{**document, **nested})


def validation_from_document(document: Mapping[str, Any]) -> Validation:
    """Document -> Validation."""
    nested = {
        "model": ModelRef(**document["model"]),
        "dataset": dataset_from_document(document["dataset"]),
        "progress": Progress(**document["progress"]),
        "files": {name: ObjectRef(**ref) for name, ref in document["files"].items()},
    }
    return Validation(**{**document, **nested})


def proposal_from_document(document: Mapping[str, Any]) -> Proposal:
    """Document -> Proposal."""
    nested = {"model": ModelRef(**document["model"]), "mask": ObjectRef(**document["mask"])}
    return Proposal(**{**document, **nested})


def correction_from_document(document: Mapping[str, Any]) -> Correction:
    """Document -> Correction."""
    refs = {key: ObjectRef(**document[key]) for key in ("accepted", "proposed")}
    return Correction(**{**document, **refs, "model": ModelRef(**document["model"])})


def drift_from_document(document: Mapping[str, Any]) -> Drift:
    """Document -> Drift."""
    return Drift(**{**document, "model": ModelRef(**document["model"])})


def _model_ref(document: Mapping[str, Any] | None) -> ModelRef | None:
    return ModelRef(**document) if document else None

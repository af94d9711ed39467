"""The nouns of a validation as a computation: what is validated, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from irp_training.domain.run import ModelRef


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationPlan:
    """What is validated, beside the case files.

    Attributes:
        bundle: the version's archive.
        model: which version.
        dataset: digest.
        project: whose patients they are.
        split: which of them.
        cases: number of case files that will come.
        known: see `certificate.Validation`.
        created_at: RFC 3339 UTC.
    """

    bundle: bytes
    model: ModelRef
    dataset: str
    project: str
    split: str
    cases: int
    known: bool
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationOutcome:
    """The report's files by name, and its main figures as JSON."""

    files: Mapping[str, bytes]
    summary: str

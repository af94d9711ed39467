"""A version of a model before a frozen dataset: what is asked, how far it is, where the report lies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from irp_kernel import ObjectRef
from irp_kernel.errors import InvalidArgument

from irp_training.domain.errors import NoFrozenSet
from irp_training.domain.run import DatasetRow, ModelRef, Progress

Split = Literal["test", "validation"]
SPLITS: tuple[Split, ...] = get_args(Split)
State = Literal["queued", "running", "succeeded", "failed"]
FINAL: frozenset[str] = frozenset({"succeeded", "failed"})
MEDIA_TYPES: Mapping[str, str] = {
    "report.json": "application/json",
    "report.html": "text/html",
    "report.pdf": "application/pdf",
    "signature.jws": "application/jose",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """One validation; `version` counts its changes.

    Attributes:
        id: of model, dataset and split: the same question is asked once.
        project: whose masks judge.
        split: which patients of the dataset.
        known: the model is known to have learnt from nobody of the split; False = not known what it learnt from.
        attempt: counts from 1; a validation that failed is begun anew.
        files: name -> object, of a report that is finished.
        summary: main figures, as JSON.
        reason: of a failure, from the error tree.
    """

    id: str
    model: ModelRef
    project: str
    dataset: DatasetRow
    split: Split
    known: bool
    actor: str
    created_at: str
    attempt: int = 1
    state: State = "queued"
    progress: Progress = field(default_factory=Progress)
    files: Mapping[str, ObjectRef] = field(default_factory=dict)
    summary: str = ""
    reason: str = ""
    message: str = ""
    finished_at: str = ""
    version: int = 1

    @property
    def ended(self) -> bool:
        """True in a final state."""
        return self.state in FINAL


def validation_id(model: ModelRef, dataset: DatasetRow, split: Split) -> str:
    """Identity of the question."""
    return hashlib.sha256(f"{model.digest}\0{dataset.digest}\0{split}".encode()).hexdigest()[:16]


def split_of(dataset: DatasetRow, wanted: str) -> Split:
    """The split that judges: the one that is wanted, else `test` where there is somebody in it, else `validation`.

    Raises:
        InvalidArgument: there is no such split, or it is learnt from.
        NoFrozenSet: nobody is in it.
    """
    if wanted and wanted not in SPLITS:
        raise InvalidArgument(f"splits that judge are {', '.join(SPLITS)}")
    for split in SPLITS:
        if wanted in {"", split} and getattr(dataset, split):
            return split
    raise NoFrozenSet

"""What the verbs need, not what exists; the adapters say how each is done."""

# ruff: noqa: D102 - a port is its signature

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from irp_kernel import ObjectRef

from irp_training.domain.datasets.dataset import Case
from irp_training.domain.datasets.placing import Placement
from irp_training.domain.drift.blocks import Drift, Group
from irp_training.domain.drift.correction import Correction, Proposal
from irp_training.domain.judging.precision import Trial
from irp_training.domain.pushing.appraisal import Appraisal
from irp_training.domain.registry.candidacy import Candidacy
from irp_training.domain.registry.registry import Model, Promotion
from irp_training.domain.run import DatasetRow, KeptOverlay, Metric, ModelRef, Run
from irp_training.domain.validations.certificate import Validation

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project at one revision of its configuration.

    Attributes:
        by_admin: an administrator of the installation made that revision, as far as it is known.
    """

    id: str
    revision: int
    configuration: ObjectRef
    by_admin: bool = False


class Objects(Protocol):
    """Immutable bytes."""

    async def put(
        self, data: bytes, *, project: str, entity: str, id: str, kind: str, media_type: str, extension: str
    ) -> ObjectRef: ...

    async def get(self, ref: ObjectRef) -> bytes: ...


class Files(Protocol):
    """Immutable bytes, or a file of this machine that holds the same, unpacked."""

    async def get(self, ref: ObjectRef) -> bytes | Path: ...


class Change(Protocol):
    """Rows, facts and jobs that are committed together."""

    async def remember_project(self, project: Project) -> None: ...

    async def remember_case(self, project: str, case: Case) -> bool:
        """False if a newer version is known already."""
        ...

    async def remember_verdict(self, project: str, series: str, version: int, verdict: str) -> None: ...

    async def masks_since_run(self, project: str, *, add: int = 0, reset: bool = False) -> int: ...

    async def note_refusal(self, project: str, reason: str) -> None:
        """Why a run could not begin by itself; empty = it could."""
        ...

    async def move_schedule(self, project: str, rule: str, now: float, following: float) -> float | None:
        """Go on to the following moment; the moment that was due, None if none was, or it was used already."""
        ...

    async def queue_automatic_run(self, project: str, key: str) -> None: ...

    async def remember_judged(self, project: str, case: Case) -> None: ...

    async def remember_clinical(self, project: str, patient: str, version: int, sha256: str) -> None: ...

    async def add_dataset(self, project: str, dataset: DatasetRow, held_out: Set[str] = frozenset()) -> DatasetRow:
        """Add it, and the hashes of the images that it holds out; the one that is there if its digest is known."""
        ...

    async def settle(
        self, project: str, digest: str, placements: Mapping[str, Placement], seen: Mapping[str, Placement]
    ) -> None:
        """Raises Aborted if places have changed since `seen` was read."""
        ...

    async def settle_older(
        self, project: str, dataset: DatasetRow, placements: Mapping[str, Placement], held_out: Set[str]
    ) -> None: ...

    async def add_run(self, run: Run) -> Run:
        """Add and queue it; the run that is there if its id is known."""
        ...

    async def lock_run(self, project: str, run_id: str) -> Run: ...

    async def save_run(self, run: Run) -> None: ...

    async def add_metrics(self, run: Run, metrics: Sequence[Metric]) -> None: ...

    async def add_overlays(self, run: Run, overlays: Sequence[KeptOverlay]) -> None: ...

    async def announce_end(self, run: Run, project: Project) -> None: ...

    async def add_model(self, model: Model) -> Model:
        """Give it the next version and announce it; the version that is there if name and digest are known."""
        ...

    async def sign_model(self, model: Model) -> None:
        """Write it with its signature, and announce it once more."""
        ...

    async def add_promotion(self, model: Model, promotion: Promotion) -> None: ...

    async def history(self, name: str) -> list[Promotion]: ...

    async def add_candidacy(self, candidacy: Candidacy) -> Candidacy:
        """Give it its number; the latest one of this version if that says the same."""
        ...

    async def lock_candidacy(self, model: ModelRef) -> Candidacy | None:
        """The latest one of a version."""
        ...

    async def save_candidacy(self, candidacy: Candidacy) -> None: ...

    async def add_trial(self, trial: Trial) -> Trial:
        """Add and queue it; the one that is there if it did not fail and is of the same dataset."""
        ...

    async def add_validation(self, validation: Validation) -> Validation:
        """Add and queue it; the one that is there if it did not fail."""
        ...

    async def lock_validation(self, validation: Validation) -> Validation: ...

    async def save_validation(self, validation: Validation) -> None: ...

    async def remember_proposal(self, proposal: Proposal) -> None: ...

    async def proposals(self, project: str, series: str) -> list[Proposal]: ...

    async def add_correction(self, correction: Correction, mask_version: int) -> None:
        """Add it, and queue its comparison once per version of the accepted mask; its first time stays."""
        ...

    async def lock_correction(self, correction: Correction) -> Correction | None:
        """As it stands now; None if it has left."""
        ...

    async def save_correction(self, correction: Correction) -> None: ...

    async def corrections(self, name: str, version: int) -> list[Correction]:
        """Of one version of a model, oldest first; nobody else changes them or its drifts meanwhile."""
        ...

    async def drifts(self, name: str, version: int) -> dict[Group, Drift]: ...

    async def save_drift(self, drift: Drift) -> None: ...

    async def announce_drift(self, drift: Drift) -> None: ...

    async def lock_trial(self, trial: Trial) -> Trial: ...

    async def save_trial(self, trial: Trial) -> None: ...

    async def announce_trial(self, trial: Trial) -> None: ...

    async def add_appraisal(self, wanted: Appraisal) -> Appraisal:
        """Add and queue it; the one that is there if it did not fail and asks the same."""
        ...

    async def lock_appraisal(self, appraisal: Appraisal) -> Appraisal: ...

    async def save_appraisal(self, appraisal: Appraisal) -> None: ...


class Store(Protocol):
    """The room's rows."""

    def change(self) -> AbstractAsyncContextManager[Change]: ...

    async def project(self, project: str) -> Project | None: ...

    async def projects(self) -> list[Project]: ...

    async def masks_since_run(self, project: str) -> int: ...

    async def refusal(self, project: str) -> str: ...

    async def next_run_at(self, project: str, rule: str) -> float:
        """Next moment of this schedule, seconds since 1970; 0 while it is not known."""
        ...

    async def cases(self, project: str) -> list[Case]: ...

    async def run(self, project: str, run_id: str) -> Run:
        """Raises RunUnknown."""
        ...

    async def page_of_runs(self, project: str, after: str, limit: int) -> tuple[list[Run], str]:
        """Newest last, and where the next page begins; empty = nowhere."""
        ...

    async def ahead(self, run: Run) -> int:
        """Runs that work, or will begin before this one."""
        ...

    async def metrics(self, project: str, run_id: str) -> list[Metric]: ...

    async def overlays(self, project: str, run_id: str) -> list[KeptOverlay]: ...

    async def models(self, name: str = "") -> list[Model]: ...

    async def page_of_models(self, name: str, after: str, limit: int) -> tuple[list[Model], str]:
        """Versions of a model, or ("") of all, by name and version; and where the next page begins, empty = nowhere."""
        ...

    async def versions(self, name: str) -> list[int]: ...

    async def makers(self, name: str) -> set[str]:
        """Projects whose runs made a version of a model."""
        ...

    async def waiting(self, name: str) -> set[int]: ...

    async def model(self, name: str, version: int) -> Model:
        """Raises ModelUnknown."""
        ...

    async def model_of(self, name: str, digest: str) -> Model:
        """The version whose bundle has this SHA-256, as hex. Raises ModelUnknown."""
        ...

    async def history(self, name: str) -> list[Promotion]: ...

    async def candidacies(self, name: str = "") -> list[Candidacy]:
        """Of a model, or of all, oldest first."""
        ...

    async def newest_dataset(self, model: str) -> DatasetRow | None:
        """Of the newest run that made a version of this model."""
        ...

    async def dataset(self, digest: str) -> DatasetRow | None: ...

    async def page_of_datasets(self, project: str, after: str, limit: int) -> tuple[list[DatasetRow], str]:
        """Newest last, and where the next page begins; empty = nowhere."""
        ...

    async def older_datasets(self, project: str) -> list[DatasetRow]:
        """Those of before the places of patients, or the hashes of held-out images, were kept."""
        ...

    async def dataset_of(self, project: str, digest: str) -> DatasetRow:
        """By its digest or how it begins; raises DatasetUnknown."""
        ...

    async def placements(self, project: str) -> dict[str, Placement]: ...

    async def held_out_images(self, project: str) -> set[str]:
        """SHA-256 of every volume that a frozen dataset of the project holds out."""
        ...

    async def trial(self, name: str, version: int, precision: str) -> Trial:
        """Raises TrialUnknown."""
        ...

    async def trials(self, name: str = "") -> list[Trial]: ...

    async def appraisal(self, name: str, version: int) -> Appraisal:
        """Raises ModelReportUnknown."""

    async def correction(self, project: str, series: str, name: str, version: int) -> Correction | None: ...

    async def drifts(self, name: str = "") -> list[Drift]: ...

    async def validation(self, name: str, version: int, id: str) -> Validation:
        """Raises ValidationUnknown."""
        ...


Signer = Callable[[dict[str, Any]], str]  # document -> compact JWS; empty = there is no key
Clock = Callable[[], str]  # RFC 3339 UTC
Seconds = Callable[[], float]  # since 1970

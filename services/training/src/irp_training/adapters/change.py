"""One transaction of the training room: rows, facts and jobs together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from irp.common.v1 import types_pb2
from irp.training.v1 import events_pb2
from irp_chassis.db import Transaction
from irp_chassis.departures import still_comes
from irp_chassis.wire import object_ref_to_proto
from sqlalchemy import select

from irp_training.adapters import dataset_rows, db, registry_rows
from irp_training.adapters.documents import (
    appraisal_from_document,
    run_from_document,
    to_document,
    trial_from_document,
)
from irp_training.adapters.registry_rows import Sign, unsigned
from irp_training.adapters.watched import WatchedRows
from irp_training.adapters.wire import model_ref_to_proto, project_to_proto
from irp_training.app.ports import Project
from irp_training.domain.datasets.dataset import Case
from irp_training.domain.datasets.placing import Placement
from irp_training.domain.errors import ModelReportUnknown, RunUnknown, TrialUnknown
from irp_training.domain.judging.precision import Trial
from irp_training.domain.pushing.appraisal import Appraisal
from irp_training.domain.registry.candidacy import Candidacy
from irp_training.domain.registry.registry import Model, Promotion
from irp_training.domain.run import DatasetRow, Metric, ModelRef, Run

RUN_JOB, AUTOMATIC_JOB, PRECISION_JOB = "training-run", "automatic-run", "precision-trial"
APPRAISAL_JOB = "model-appraisal"
JUDGED_ENGINE = "openvino"  # what trials compute with


class SqlChange(WatchedRows):
    """See app.ports.Change."""

    def __init__(self, tx: Transaction, sign: Sign = unsigned) -> None:
        self._tx, self._sign = tx, sign

    async def remember_project(self, project: Project) -> None:
        """Keep the newest revision."""
        known = await self._one(select(db.PROJECT.c.revision).where(db.PROJECT.c.project == project.id))
        if known is not None and known >= project.revision:
            return
        row = {
            "project": project.id,
            "revision": project.revision,
            "configuration": to_document(project.configuration),
            "by_admin": project.by_admin,
        }
        await self._tx.upsert(db.PROJECT, row, keys=("project",))

    async def remember_case(self, project: str, case: Case) -> bool:
        """Keep the newest accepted mask of a series."""
        table = db.ACCEPTED
        where = (table.c.project == project, table.c.series == case.series)
        known = await self._one(select(table.c.version).where(*where))
        if known is not None and known >= case.version:
            return False
        document = to_document(case)
        for joined in ("verdict", "clinical"):
            document.pop(joined)
        row = {"project": project, "series": case.series, "version": case.version, "document": document}
        await self._tx.upsert(table, row, keys=("project", "series"))
        return True

    async def remember_verdict(self, project: str, series: str, version: int, verdict: str) -> None:
        """Keep the verdict on the newest volume of a series."""
        table = db.VERDICT
        where = (table.c.project == project, table.c.series == series)
        known = await self._one(select(table.c.version).where(*where))
        if known is not None and known > version:
            return
        if not await still_comes(self._tx, project, series, version):
            return
        row = {"project": project, "series": series, "version": version, "verdict": verdict}
        await self._tx.upsert(table, row, keys=("project", "series"))

    async def masks_since_run(self, project: str, *, add: int = 0, reset: bool = False) -> int:
        """Count accepted masks since the last run that began by itself."""
        table = db.PROJECT
        known = int(await self._one(select(table.c.masks_since_run).where(table.c.project == project)) or 0)
        count = 0 if reset else known + add
        await self._tx.execute(table.update().where(table.c.project == project).values(masks_since_run=count))
        return count

    async def note_refusal(self, project: str, reason: str) -> None:
        """Keep why a run could not begin by itself; empty = it could."""
        await self._tx.execute(db.PROJECT.update().where(db.PROJECT.c.project == project).values(refusal=reason))

    async def move_schedule(self, project: str, rule: str, now: float, following: float) -> float | None:
        """Go on to the following moment; the moment that was due, or None."""
        table = db.SCHEDULE
        query = select(table).where(table.c.project == project, table.c.rule == rule).with_for_update()
        row = (await self._tx.execute(query)).first()
        if row is not None and row.next_at > now:
            return None
        await self._tx.upsert(table, {"project": project, "rule": rule, "next_at": following}, keys=("project",))
        return float(row.next_at) if row is not None else None

    async def queue_automatic_run(self, project: str, key: str) -> None:
        """Let a run begin by itself, once per key."""
        await self._tx.enqueue(AUTOMATIC_JOB, key=f"{project}/{key}", payload={"project": project, "key": key})

    async def remember_judged(self, project: str, case: Case) -> None:
        """Keep how much of each structure a known mask judges."""
        await dataset_rows.remember_judged(self._tx, project, case)

    async def remember_clinical(self, project: str, patient: str, version: int, sha256: str) -> None:
        """Keep the hash of a patient's newest clinical values."""
        await dataset_rows.remember_clinical(self._tx, project, patient, version, sha256)

    async def add_dataset(self, project: str, dataset: DatasetRow, held_out: Set[str] = frozenset()) -> DatasetRow:
        """Keep a frozen dataset, and which images it holds out; the one that is there if its digest is known."""
        return await dataset_rows.add_dataset(self._tx, project, dataset, held_out)

    async def settle(
        self, project: str, digest: str, placements: Mapping[str, Placement], seen: Mapping[str, Placement]
    ) -> None:
        """Keep where a dataset's patients stand; Aborted if somebody else did so since `seen` was read."""
        await dataset_rows.settle(self._tx, project, digest, placements, seen)

    async def settle_older(
        self, project: str, dataset: DatasetRow, placements: Mapping[str, Placement], held_out: Set[str]
    ) -> None:
        """Keep whom, and which images, a dataset of before that was kept holds out; who is held out already stays."""
        await dataset_rows.settle_older(self._tx, project, dataset, placements, held_out)

    async def add_run(self, run: Run) -> Run:
        """Add and queue a run, or answer the one with its id."""
        if not await self._tx.insert_once(db.RUN, _run_row(run), keys=("project", "id")):
            return await self.lock_run(run.project, run.id)
        payload = {"project": run.project, "run": run.id}
        await self._tx.enqueue(RUN_JOB, key=f"{run.project}/{run.id}", payload=payload)
        return run

    async def lock_run(self, project: str, run_id: str) -> Run:
        """Read a run for changing it."""
        query = select(db.RUN.c.document).where(db.RUN.c.project == project, db.RUN.c.id == run_id)
        document = await self._one(query.with_for_update())
        if document is None:
            raise RunUnknown
        return run_from_document(document)

    async def save_run(self, run: Run) -> None:
        """Write a changed run; its version grows."""
        row = _run_row(replace(run, version=run.version + 1))
        await self._tx.upsert(db.RUN, row, keys=("project", "id"))

    async def add_metrics(self, run: Run, metrics: Sequence[Metric]) -> None:
        """Add points of curves; a repeated epoch overwrites itself."""
        for metric in metrics:
            row = {"project": run.project, "run": run.id, "epoch": metric.epoch, "name": metric.name}
            keys = tuple(row)
            await self._tx.upsert(db.METRIC, {**row, "value": metric.value}, keys=keys)

    async def announce_end(self, run: Run, project: Project) -> None:
        """RunFinished."""
        fact = events_pb2.RunFinished(
            project=project_to_proto(project),
            aggregate=types_pb2.Aggregate(id=run.id, version=run.version + 1),
            run_id=run.id,
            state=run.state,
            model=model_ref_to_proto(run.result) if run.result else None,
            promoted=run.promoted,
            reason=run.reason,
        )
        await self._tx.announce(fact)

    async def add_model(self, model: Model) -> Model:
        """Give a model its version and announce it, or answer the version with its name and digest."""
        return await registry_rows.add_model(self._tx, model, self._sign)

    async def sign_model(self, model: Model) -> None:
        """Sign a version that has no signature yet, and announce it once more."""
        await registry_rows.sign_model(self._tx, model, self._sign)

    async def add_promotion(self, model: Model, promotion: Promotion) -> None:
        """Make a version the champion and announce it."""
        await registry_rows.add_promotion(self._tx, model, promotion)

    async def history(self, name: str) -> list[Promotion]:
        """Promotions and rollbacks, oldest first."""
        return await registry_rows.history(self._tx.connection, name)

    async def add_candidacy(self, candidacy: Candidacy) -> Candidacy:
        """Give a candidacy its number, or answer the latest one of its version if that says the same."""
        return await registry_rows.add_candidacy(self._tx, candidacy)

    async def lock_candidacy(self, model: ModelRef) -> Candidacy | None:
        """Read the latest candidacy of a version for changing it."""
        return await registry_rows.lock_candidacy(self._tx, model)

    async def save_candidacy(self, candidacy: Candidacy) -> None:
        """Write a changed candidacy."""
        await registry_rows.save_candidacy(self._tx, candidacy)

    async def add_trial(self, trial: Trial) -> Trial:
        """Add and queue a trial, or answer the one that is under way or has ended on the same dataset."""
        known = await self._one(_trial_query(trial).with_for_update())
        if known is not None:
            before = trial_from_document(known)
            if before.state != "failed" and before.dataset.digest == trial.dataset.digest:
                return before
            trial = replace(trial, attempt=before.attempt + 1, version=before.version)
        await self.save_trial(trial)
        key, ref = f"{trial.model}/{trial.precision}/{trial.attempt}", trial.model
        payload = {"name": ref.name, "version": ref.version, "precision": trial.precision}
        await self._tx.enqueue(PRECISION_JOB, key=key, payload=payload)
        return trial

    async def lock_trial(self, trial: Trial) -> Trial:
        """Read a trial for changing it."""
        document = await self._one(_trial_query(trial).with_for_update())
        if document is None:
            raise TrialUnknown
        return trial_from_document(document)

    async def save_trial(self, trial: Trial) -> None:
        """Write a changed trial; its version grows."""
        grown = replace(trial, version=trial.version + 1)
        row = {"name": trial.model.name, "model_version": trial.model.version, "precision": trial.precision}
        keys = tuple(row)
        await self._tx.upsert(db.PRECISION_TRIAL, {**row, "document": to_document(grown)}, keys=keys)

    async def announce_trial(self, trial: Trial) -> None:
        """PrecisionGuarded."""
        fact = events_pb2.PrecisionGuarded(
            name=trial.model.name,
            aggregate=types_pb2.Aggregate(id=f"{trial.model}/{trial.precision}", version=trial.version + 1),
            model=model_ref_to_proto(trial.model),
            precision=trial.precision,
            accepted=trial.state == "accepted",
            artefact=object_ref_to_proto(trial.artefact) if trial.artefact else None,
            engine=JUDGED_ENGINE,
            speedup=trial.speedup,
        )
        await self._tx.announce(fact)

    async def add_appraisal(self, wanted: Appraisal) -> Appraisal:
        """Add and queue an appraisal, or answer the one that is under way or has ended on the same dataset."""
        known = await self._one(_report_query(wanted.model).with_for_update())
        if known is not None:
            before = appraisal_from_document(known)
            if wanted.asks_the_same(before):
                return before
            seen = wanted.inspection or before.inspection  # a version's bundle never changes
            wanted = replace(wanted, attempt=before.attempt + 1, version=before.version, inspection=seen)
        await self.save_appraisal(wanted)
        ref = wanted.model
        payload = {"name": ref.name, "version": ref.version}
        await self._tx.enqueue(APPRAISAL_JOB, key=f"{ref}/{wanted.attempt}", payload=payload)
        return wanted

    async def lock_appraisal(self, appraisal: Appraisal) -> Appraisal:
        """Read an appraisal for changing it."""
        document = await self._one(_report_query(appraisal.model).with_for_update())
        if document is None:
            raise ModelReportUnknown
        return appraisal_from_document(document)

    async def save_appraisal(self, appraisal: Appraisal) -> None:
        """Write a changed appraisal; its version grows."""
        grown, ref = replace(appraisal, version=appraisal.version + 1), appraisal.model
        row = {"name": ref.name, "model_version": ref.version, "document": to_document(grown)}
        await self._tx.upsert(db.MODEL_REPORT, row, keys=("name", "model_version"))

    async def _one(self, query: Any) -> Any:
        return (await self._tx.execute(query)).scalar()


def _run_row(run: Run) -> dict[str, Any]:
    columns = ("project", "id", "model", "state", "version", "cancel_asked", "priority", "created_at")
    return {**{name: getattr(run, name) for name in columns}, "document": to_document(run)}


def _trial_query(trial: Trial) -> Any:
    table, ref = db.PRECISION_TRIAL, trial.model
    here = (table.c.name == ref.name, table.c.model_version == ref.version, table.c.precision == trial.precision)
    return select(table.c.document).where(*here)


def _report_query(ref: ModelRef) -> Any:
    table = db.MODEL_REPORT
    return select(table.c.document).where(table.c.name == ref.name, table.c.model_version == ref.version)

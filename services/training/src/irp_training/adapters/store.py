"""The room's rows behind the verbs' ports: SQLite or PostgreSQL, the same statements on both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from irp_chassis.db import Database
from irp_chassis.paging import read_page
from irp_kernel import ObjectRef
from irp_kernel.errors import ModelUnknown
from sqlalchemy import ColumnElement, and_, desc, select

from irp_training.adapters import dataset_rows, db, registry_rows
from irp_training.adapters.change import SqlChange
from irp_training.adapters.documents import (
    appraisal_from_document,
    case_from_document,
    correction_from_document,
    dataset_from_document,
    drift_from_document,
    model_from_document,
    overlay_from_document,
    project_from_row,
    run_from_document,
    trial_from_document,
    validation_from_document,
)
from irp_training.adapters.queue import runs_ahead
from irp_training.adapters.registry_rows import Sign, unsigned
from irp_training.app.ports import Project
from irp_training.domain.datasets.dataset import Case
from irp_training.domain.datasets.placing import Placement
from irp_training.domain.drift.blocks import Drift
from irp_training.domain.drift.correction import Correction
from irp_training.domain.errors import ModelReportUnknown, RunUnknown, TrialUnknown, ValidationUnknown
from irp_training.domain.judging.precision import Trial
from irp_training.domain.pushing.appraisal import Appraisal
from irp_training.domain.registry.candidacy import Candidacy
from irp_training.domain.registry.registry import Model, Promotion
from irp_training.domain.run import DatasetRow, KeptOverlay, Metric, Run
from irp_training.domain.validations.certificate import Validation


class SqlStore:
    """See app.ports.Store."""

    def __init__(self, database: Database, sign: Sign = unsigned) -> None:
        self._database, self._sign = database, sign

    @asynccontextmanager
    async def change(self) -> AsyncIterator[SqlChange]:
        """One transaction."""
        async with self._database.transaction() as tx:
            yield SqlChange(tx, self._sign)

    async def project(self, project: str) -> Project | None:
        """The newest revision that is known."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(db.PROJECT).where(db.PROJECT.c.project == project))).first()
        return project_from_row(row._asdict()) if row else None

    async def projects(self) -> list[Project]:
        """All that are known."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(db.PROJECT).order_by(db.PROJECT.c.project))).all()
        return [project_from_row(row._asdict()) for row in rows]

    async def masks_since_run(self, project: str) -> int:
        """Accepted since the last run that began by itself."""
        query = select(db.PROJECT.c.masks_since_run).where(db.PROJECT.c.project == project)
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar() or 0)

    async def refusal(self, project: str) -> str:
        """Why the latest run that was to begin by itself could not; empty = it could."""
        query = select(db.PROJECT.c.refusal).where(db.PROJECT.c.project == project)
        async with self._database.read() as connection:
            return str((await connection.execute(query)).scalar() or "")

    async def next_run_at(self, project: str, rule: str) -> float:
        """Next moment of this schedule; 0 while it is not known."""
        table = db.SCHEDULE
        query = select(table.c.next_at).where(table.c.project == project, table.c.rule == rule)
        async with self._database.read() as connection:
            return float((await connection.execute(query)).scalar() or 0.0)

    async def cases(self, project: str) -> list[Case]:
        """The latest accepted mask of each series, with quality's verdict."""
        same = and_(db.VERDICT.c.project == db.ACCEPTED.c.project, db.VERDICT.c.series == db.ACCEPTED.c.series)
        query = select(db.ACCEPTED.c.document, db.VERDICT.c.verdict).select_from(
            db.ACCEPTED.join(db.VERDICT, same, isouter=True)
        )
        async with self._database.read(at_once=True) as connection:
            rows = (await connection.execute(query.where(db.ACCEPTED.c.project == project))).all()
            clinical = await dataset_rows.clinical_hashes(connection, project)
        return [
            case_from_document(row.document, row.verdict or "", clinical.get(row.document["patient"], ""))
            for row in rows
        ]

    async def run(self, project: str, run_id: str) -> Run:
        """One run, or RunUnknown."""
        query = select(db.RUN.c.document).where(db.RUN.c.project == project, db.RUN.c.id == run_id)
        async with self._database.read() as connection:
            document = (await connection.execute(query)).scalar()
        if document is None:
            raise RunUnknown
        return run_from_document(document)

    async def page_of_runs(self, project: str, after: str, limit: int) -> tuple[list[Run], str]:
        """See Store.page_of_runs."""
        place = (db.RUN.c.created_at, db.RUN.c.id)
        query = select(db.RUN.c.document, *place).where(db.RUN.c.project == project)
        rows, following = await read_page(self._database, query, place, after, limit)
        return [run_from_document(row.document) for row in rows], following

    async def ahead(self, run: Run) -> int:
        """Runs that work, or will begin before this one; 0 once it has begun."""
        return await runs_ahead(self._database, run)

    async def metrics(self, project: str, run_id: str) -> list[Metric]:
        """The curves of a run, by epoch."""
        table = db.METRIC
        query = select(table).where(table.c.project == project, table.c.run == run_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(table.c.epoch, table.c.name))).all()
        return [Metric(row.epoch, row.name, row.value) for row in rows]

    async def overlays(self, project: str, run_id: str) -> list[KeptOverlay]:
        """The pictures of a run, by epoch."""
        table = db.OVERLAY
        query = select(table.c.document).where(table.c.project == project, table.c.run == run_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(table.c.epoch, table.c.which))).scalars()
            return [overlay_from_document(row) for row in rows]

    async def models(self, name: str = "") -> list[Model]:
        """All versions, by name and version."""
        query = select(db.MODEL.c.document).order_by(db.MODEL.c.name, db.MODEL.c.version)
        if name:
            query = query.where(db.MODEL.c.name == name)
        async with self._database.read() as connection:
            return [model_from_document(row) for row in (await connection.execute(query)).scalars()]

    async def page_of_models(self, name: str, after: str, limit: int) -> tuple[list[Model], str]:
        """See Store.page_of_models."""
        place = (db.MODEL.c.name, db.MODEL.c.version)
        query = select(db.MODEL.c.document, *place)
        if name:
            query = query.where(db.MODEL.c.name == name)
        rows, following = await read_page(self._database, query, place, after, limit)
        return [model_from_document(row.document) for row in rows], following

    async def model(self, name: str, version: int) -> Model:
        """One version, or ModelUnknown."""
        return await self._model(name, db.MODEL.c.version == version, version=version)

    async def model_of(self, name: str, digest: str) -> Model:
        """The version whose bundle has this SHA-256, as hex, or ModelUnknown."""
        return await self._model(name, db.MODEL.c.digest == digest, digest=digest)

    async def _model(self, name: str, which: ColumnElement[bool], **asked: str | int) -> Model:
        query = select(db.MODEL.c.document).where(db.MODEL.c.name == name, which)
        async with self._database.read() as connection:
            document = (await connection.execute(query)).scalar()
        if document is None:
            raise ModelUnknown(name=name, **asked)
        return model_from_document(document)

    async def versions(self, name: str) -> list[int]:
        """Numbers of a model's versions."""
        query = select(db.MODEL.c.version).where(db.MODEL.c.name == name).order_by(db.MODEL.c.version)
        async with self._database.read() as connection:
            return list((await connection.execute(query)).scalars())

    async def makers(self, name: str) -> set[str]:
        """Projects whose runs made a version."""
        project = db.MODEL.c.document[("run", 0)].as_string()
        async with self._database.read() as connection:
            found = (await connection.execute(select(project).where(db.MODEL.c.name == name).distinct())).scalars()
            return {each for each in found if each}

    async def history(self, name: str) -> list[Promotion]:
        """Promotions and rollbacks, oldest first."""
        async with self._database.read() as connection:
            return await registry_rows.history(connection, name)

    async def candidacies(self, name: str = "") -> list[Candidacy]:
        """Of a model, or of all, oldest first."""
        async with self._database.read() as connection:
            return await registry_rows.candidacies(connection, name)

    async def waiting(self, name: str) -> set[int]:
        """Versions of a model whose promotion waits for a second person."""
        async with self._database.read() as connection:
            return await registry_rows.waiting(connection, name)

    async def newest_dataset(self, model: str) -> DatasetRow | None:
        """Of the newest run that made a version of this model."""
        query = select(db.RUN.c.document).where(db.RUN.c.model == model, db.RUN.c.state == "succeeded")
        async with self._database.read() as connection:
            document = (await connection.execute(query.order_by(desc(db.RUN.c.created_at)).limit(1))).scalar()
        return run_from_document(document).dataset if document else None

    async def dataset(self, digest: str) -> DatasetRow | None:
        """A frozen dataset by its digest."""
        query = select(db.DATASET.c.document).where(db.DATASET.c.digest == digest).limit(1)
        async with self._database.read() as connection:
            document = (await connection.execute(query)).scalar()
        return dataset_from_document(document) if document else None

    async def page_of_datasets(self, project: str, after: str, limit: int) -> tuple[list[DatasetRow], str]:
        """See Store.page_of_datasets."""
        place = (db.DATASET.c.created_at, db.DATASET.c.digest)
        query = select(db.DATASET.c.document, *place).where(db.DATASET.c.project == project)
        rows, following = await read_page(self._database, query, place, after, limit)
        return [dataset_from_document(row.document) for row in rows], following

    async def older_datasets(self, project: str) -> list[DatasetRow]:
        """Those of before the places of patients, or the hashes of held-out images, were kept."""
        async with self._database.read() as connection:
            return await dataset_rows.older(connection, project)

    async def dataset_of(self, project: str, digest: str) -> DatasetRow:
        """A frozen dataset by its digest or how it begins, or DatasetUnknown."""
        async with self._database.read() as connection:
            return await dataset_rows.found(connection, project, digest)

    async def placements(self, project: str) -> dict[str, Placement]:
        """Where the patients of frozen datasets stand."""
        async with self._database.read() as connection:
            return await dataset_rows.placements(connection, project)

    async def held_out_images(self, project: str) -> set[str]:
        """SHA-256 of every volume that a frozen dataset holds out."""
        async with self._database.read() as connection:
            return await dataset_rows.held_out_images(connection, project)

    async def trial(self, name: str, version: int, precision: str) -> Trial:
        """One trial, or TrialUnknown."""
        found = [t for t in await self.trials(name) if (t.model.version, t.precision) == (version, precision)]
        if not found:
            raise TrialUnknown(name=name, version=version)
        return found[0]

    async def trials(self, name: str = "") -> list[Trial]:
        """Of every version of a model, or of all models."""
        table = db.PRECISION_TRIAL
        query = select(table.c.document).order_by(table.c.name, table.c.model_version, table.c.precision)
        if name:
            query = query.where(table.c.name == name)
        async with self._database.read() as connection:
            return [trial_from_document(row) for row in (await connection.execute(query)).scalars()]

    async def appraisal(self, name: str, version: int) -> Appraisal:
        """The report on one version, or ModelReportUnknown."""
        table = db.MODEL_REPORT
        query = select(table.c.document).where(table.c.name == name, table.c.model_version == version)
        async with self._database.read() as connection:
            document = (await connection.execute(query)).scalar()
        if document is None:
            raise ModelReportUnknown(name=name, version=version)
        return appraisal_from_document(document)

    async def correction(self, project: str, series: str, name: str, version: int) -> Correction | None:
        """One pair of masks."""
        table = db.CORRECTION
        here = (table.c.project == project, table.c.series == series, table.c.name == name)
        query = select(table.c.document).where(*here, table.c.model_version == version)
        async with self._database.read() as connection:
            document = (await connection.execute(query)).scalar()
        return correction_from_document(document) if document else None

    async def drifts(self, name: str = "") -> list[Drift]:
        """Of every version of a model, or of all models."""
        table = db.DRIFT
        query = select(table.c.document).order_by(table.c.name, table.c.model_version, table.c.by, table.c.value)
        if name:
            query = query.where(table.c.name == name)
        async with self._database.read() as connection:
            return [drift_from_document(row) for row in (await connection.execute(query)).scalars()]

    async def validation(self, name: str, version: int, id: str) -> Validation:
        """One validation, or ValidationUnknown."""
        table = db.VALIDATION
        here = (table.c.name == name, table.c.model_version == version, table.c.id == id)
        async with self._database.read() as connection:
            document = (await connection.execute(select(table.c.document).where(*here))).scalar()
        if document is None:
            raise ValidationUnknown
        return validation_from_document(document)

    async def references(self) -> list[ObjectRef]:
        """Every object that a row of this room refers to and this room wrote."""
        async with self._database.read(at_once=True) as connection:
            datasets = list((await connection.execute(select(db.DATASET.c.document))).scalars())
            runs = list((await connection.execute(select(db.RUN.c.document))).scalars())
            validations = list((await connection.execute(select(db.VALIDATION.c.document))).scalars())
            overlays = list((await connection.execute(select(db.OVERLAY.c.document))).scalars())
        found = [dataset_from_document(row).manifest for row in datasets]
        found += [ref for row in runs if (ref := run_from_document(row).checkpoint)]
        found += [ref for row in validations for ref in validation_from_document(row).files.values()]
        found += [overlay_from_document(row).picture for row in overlays]
        found += [trial.artefact for trial in await self.trials() if trial.artefact]
        return found + [model.bundle for model in await self.models()]

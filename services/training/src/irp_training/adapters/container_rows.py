"""Rows of containers and their runs. Every change is a read of the row for changing it, a decision, and a write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from irp.common.v1 import types_pb2
from irp.training.v1 import events_pb2
from irp_chassis.db import Database, Transaction
from irp_chassis.departures import require_there, still_comes
from irp_chassis.paging import read_page
from irp_chassis.wire import object_ref_to_proto
from irp_kernel import ObjectRef
from sqlalchemy import func, select

from irp_training.adapters.container_tables import CONTAINER, CONTAINER_RUN
from irp_training.adapters.db import METADATA
from irp_training.adapters.documents import to_document
from irp_training.adapters.wire import project_to_proto
from irp_training.app.attempts import grown
from irp_training.app.container_ports import Proposed
from irp_training.app.ports import Project
from irp_training.domain.container_errors import ContainerRunUnknown, ContainerUnknown
from irp_training.domain.containers.container import Container, ContainerRun, Target
from irp_training.domain.run import Progress

CONFORMANCE_JOB, CONTAINER_RUN_JOB = "container-conformance", "container-run"
SOFTWARE = "training/0.1.0"

_containers, _runs = METADATA.tables[CONTAINER], METADATA.tables[CONTAINER_RUN]


class ContainerRows:
    """See app.container_ports.Containers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, container: Container) -> Container:
        """Number and queue it; one that is known is answered, one whose test failed is tried again."""
        same = (_containers.c.name == container.name, _containers.c.digest == container.digest)
        async with self._database.transaction() as tx:
            known = (await tx.execute(select(_containers.c.document).where(*same).with_for_update())).scalar()
            if known is not None:
                before = container_from_document(known)
                if before.state != "failed":
                    return before
                fresh = Progress()
                container = replace(
                    before, state="queued", attempt=before.attempt + 1, reason="", message="", progress=fresh
                )
            else:
                query = select(func.max(_containers.c.version)).where(_containers.c.name == container.name)
                container = replace(container, version=int((await tx.execute(query)).scalar() or 0) + 1)
            await _write_container(tx, container)
            payload = {"name": container.name, "version": container.version}
            await tx.enqueue(CONFORMANCE_JOB, key=f"{container}/{container.attempt}", payload=payload)
        return container

    async def container(self, name: str, version: int) -> Container:
        """One version, or ContainerUnknown."""
        async with self._database.read() as connection:
            document = (await connection.execute(_container_query(name, version))).scalar()
        if document is None:
            raise ContainerUnknown(name=name, version=version)
        return container_from_document(document)

    async def containers(self, name: str = "") -> list[Container]:
        """Every version, by name and version."""
        query = select(_containers.c.document).order_by(_containers.c.name, _containers.c.version)
        if name:
            query = query.where(_containers.c.name == name)
        async with self._database.read() as connection:
            return [container_from_document(row) for row in (await connection.execute(query)).scalars()]

    async def save(self, container: Container) -> bool:
        """Keep a change, unless its test has ended or was begun anew."""
        async with self._database.transaction() as tx:
            query = _container_query(container.name, container.version).with_for_update()
            current = container_from_document((await tx.execute(query)).scalar_one())
            if (changed := grown(current, container)) is None:
                return False
            await _write_container(tx, changed)
        return True

    async def promote(self, name: str, version: int, actor: str, at: str) -> Container:
        """See Containers.promote."""
        async with self._database.transaction() as tx:
            row = (await tx.execute(_container_query(name, version).with_for_update())).scalar_one()
            current = container_from_document(row)
            promoted = replace(current, promoted_at=at, promoted_by=actor, changes=current.changes + 1)
            await _write_container(tx, promoted)
        return promoted

    async def add_run(self, run: ContainerRun, project: Project) -> ContainerRun:
        """Add and queue it; one that is known is answered, one that failed is done again."""
        # Not the delivery's mark: where a fact asks, what else it means is kept after this, with the mark.
        async with self._database.transaction(mark=False) as tx:
            await require_there(tx, run.project, run.target.series, run.target.version)
            known = (await tx.execute(_run_query(run.project, run.id).with_for_update())).first()
            if known is not None:
                before = run_from_document(known.document)
                if before.state != "failed":
                    return before
                run = replace(run, changes=before.changes + 1)
            await _write_run(tx, run, to_document(project))
            payload = {"project": run.project, "run": run.id}
            await tx.enqueue(CONTAINER_RUN_JOB, key=f"{run.project}/{run.id}/{run.changes}", payload=payload)
        return run

    async def run(self, project: str, run_id: str) -> ContainerRun:
        """One run, or ContainerRunUnknown."""
        async with self._database.read() as connection:
            row = (await connection.execute(_run_query(project, run_id))).first()
        if row is None:
            raise ContainerRunUnknown
        return run_from_document(row.document)

    async def runs(self, project: str, after: str, limit: int) -> tuple[list[ContainerRun], str]:
        """See Containers.runs."""
        place = (_runs.c.created_at, _runs.c.id)
        query = select(_runs.c.document, *place).where(_runs.c.project == project)
        rows, following = await read_page(self._database, query, place, after, limit)
        return [run_from_document(row.document) for row in rows], following

    async def save_run(self, run: ContainerRun, proposed: Proposed | None = None) -> bool:
        """Keep a change and announce what is proposed, in one transaction; nothing once it has ended, or is gone."""
        async with self._database.transaction() as tx:
            if not await still_comes(tx, run.project, run.target.series, run.target.version):
                return False
            row = (await tx.execute(_run_query(run.project, run.id).with_for_update())).first()
            if row is None or (current := run_from_document(row.document)).ended:
                return False
            await _write_run(tx, replace(run, changes=current.changes + 1), row.project_document)
            if proposed:
                told = project_from_document(row.project_document)
                container = (await tx.execute(_container_query(run.name, run.version))).scalar_one()
                await tx.announce(mask_proposed(run, proposed, told, container_from_document(container)))
        return True

    async def forget(self, tx: Transaction, project: str, series: str, version: int) -> None:
        """Runs on a series' volumes up to this one, which are gone."""
        query = select(_runs.c.id, _runs.c.document).where(_runs.c.project == project, _runs.c.series == series)
        for row in (await tx.execute(query)).all():
            if run_from_document(row.document).target.version <= version:
                await tx.execute(_runs.delete().where(_runs.c.project == project, _runs.c.id == row.id))

    async def references(self) -> list[ObjectRef]:
        """Every object that these rows refer to and this room wrote."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(_runs.c.document))).scalars()
            masks = [run.mask for run in map(run_from_document, rows) if run.mask]
        pushed = [(container.archive, container.model) for container in await self.containers()]
        return [ref for refs in pushed for ref in refs if ref] + masks


def mask_proposed(
    run: ContainerRun, proposed: Proposed, project: Project, container: Container
) -> events_pb2.ContainerMaskProposed:
    """What annotation shall keep."""
    target = run.target
    provenance = types_pb2.Provenance(
        actor=run.actor,
        at=proposed.at,
        software=SOFTWARE,
        model=types_pb2.ModelRef(name=container.name, version=container.version, digest=container.digest),
        inputs={"volume": target.volume.sha256, "container": container.archive.sha256},
        parameters=proposed.parameters,
    )
    return events_pb2.ContainerMaskProposed(
        project=project_to_proto(project),
        aggregate=types_pb2.Aggregate(id=f"{target.series}/{container}", version=target.version),
        series_uid=target.series,
        mask=object_ref_to_proto(proposed.mask),
        volume_sha256=target.volume.sha256,
        provenance=provenance,
    )


def container_from_document(document: Mapping[str, Any]) -> Container:
    """Document -> Container."""
    model = document["model"]
    nested = {
        "archive": ObjectRef(**document["archive"]),
        "model": ObjectRef(**model) if model else None,
        "progress": Progress(**document["progress"]),
    }
    return Container(**{**document, **nested})


def run_from_document(document: Mapping[str, Any]) -> ContainerRun:
    """Document -> ContainerRun."""
    target, mask = document["target"], document["mask"]
    nested = {
        "target": Target(**{**target, "volume": ObjectRef(**target["volume"])}),
        "progress": Progress(**document["progress"]),
        "mask": ObjectRef(**mask) if mask else None,
    }
    return ContainerRun(**{**document, **nested})


def project_from_document(document: Mapping[str, Any]) -> Project:
    """Document -> Project."""
    return Project(**{**document, "configuration": ObjectRef(**document["configuration"])})


def _container_query(name: str, version: int) -> Any:
    return select(_containers.c.document).where(_containers.c.name == name, _containers.c.version == version)


def _run_query(project: str, run_id: str) -> Any:
    here = (_runs.c.project == project, _runs.c.id == run_id)
    return select(_runs.c.document, _runs.c.project_document).where(*here)


async def _write_container(tx: Transaction, container: Container) -> None:
    row = {"name": container.name, "version": container.version}
    keys = tuple(row)
    more = {"digest": container.digest, "document": to_document(container)}
    await tx.upsert(_containers, {**row, **more}, keys=keys)


async def _write_run(tx: Transaction, run: ContainerRun, project: Any) -> None:
    row = {"project": run.project, "id": run.id}
    keys = tuple(row)
    more = {"series": run.target.series, "created_at": run.created_at}
    documents = {"project_document": project, "document": to_document(run)}
    await tx.upsert(_runs, {**row, **more, **documents}, keys=keys)

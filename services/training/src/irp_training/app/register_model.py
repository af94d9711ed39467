"""A pushed bundle -> a new version, once it has been looked through."""

from __future__ import annotations

import asyncio
import json

from irp_kernel import ObjectRef
from irp_kernel.ids import Slug

from irp_training.app.approvals import Approvals
from irp_training.app.frozen_set import FrozenSet
from irp_training.app.ports import Change, Clock, Objects, Project, Store
from irp_training.app.promote_model import put_forward
from irp_training.app.work_ports import Inspect
from irp_training.domain.judging.gate import Verdict
from irp_training.domain.pushing.appraisal import Appraisal
from irp_training.domain.pushing.pushed import About, about_from_report, describe
from irp_training.domain.registry.registry import Model
from irp_training.domain.run import DatasetRow, ModelRef

FIRST = Verdict(passed=True, reason="there is no champion yet", margin=0.0)
REGISTRY = "registry"  # stands where a project's name stands in object keys


class RegisterModel:
    """Checks a bundle and gives it a version; the same bytes again are the same version.

    Args:
        inspect: looks through what comes from outside; None = bundles of the house are read where we are.
        frozen_set: on whom a new version is judged; None = on nobody.
    """

    def __init__(
        self,
        store: Store,
        objects: Objects,
        approvals: Approvals,
        now: Clock,
        inspect: Inspect | None = None,
        frozen_set: FrozenSet | None = None,
    ) -> None:
        self._store, self._objects, self._approvals, self._now = store, objects, approvals, now
        self._inspect, self._frozen_set = inspect, frozen_set

    async def __call__(
        self, name: str, bundle: bytes, actor: str, *, promote_if_first: bool = False, project: Project | None = None
    ) -> Model:
        """Register, and have it judged.

        Args:
            name: of the model.
            bundle: archive.
            actor: who pushes.
            promote_if_first: make it the champion if the model has none.
            project: judge on its accepted masks; None = on the newest frozen set of the model, if there is one.

        Raises:
            an error of irp_bundle, NetworkMisbehaves, InspectionFailed, InspectionTooLong, InspectionTooLarge: the
                archive is not a bundle that is safe to read, or its networks do not do what it says.
            NoFrozenSet, DatasetEmpty, PatientLeak: of the project.
        """
        dataset = await self._frozen_set(name, project=project) if self._frozen_set else None
        about, inspection = await self._looked_through(bundle)
        ref = await self._stored(name, bundle)
        pushed = Model(
            ref=ModelRef(name=name, version=0, digest=ref.sha256),
            bundle=ref,
            created_at=self._now(),
            actor=actor,
            licence=about.licence,
            figures=json.dumps(about.figures, sort_keys=True),
            structures=about.structures,
            dataset_digest=about.dataset_digest,
        )
        approvals = await self._approvals.of(pushed)
        async with self._store.change() as change:
            model = await change.add_model(pushed)
            if promote_if_first and await _is_first(change, model):
                await put_forward(change, model, None, FIRST, actor=actor, at=self._now(), approvals=approvals)
            if inspection:
                await self._ask(change, model, inspection, actor, dataset)
        return model

    async def _looked_through(self, bundle: bytes) -> tuple[About, str]:
        if self._inspect is None:
            return await asyncio.to_thread(describe, bundle), ""
        found = await self._inspect(bundle)
        if found.problem is not None:
            raise found.problem
        return about_from_report(found.report), json.dumps(found.document(), sort_keys=True)

    async def _ask(self, change: Change, model: Model, inspection: str, actor: str, dataset: DatasetRow | None) -> None:
        at = self._now()
        wanted = Appraisal(model=model.ref, actor=actor, created_at=at, inspection=inspection, dataset=dataset)
        await change.add_appraisal(wanted)

    async def _stored(self, name: str, bundle: bytes) -> ObjectRef:
        return await self._objects.put(
            bundle,
            project=REGISTRY,
            entity="model",
            id=Slug(name),
            kind="bundle",
            media_type="application/zip",
            extension="zip",
        )


async def _is_first(change: Change, model: Model) -> bool:
    """True if there is no champion, and nobody was asked about this version."""
    return not await change.history(model.ref.name) and await change.lock_candidacy(model.ref) is None

"""A pushed bundle -> a new version, once it has been read safely."""

from __future__ import annotations

import asyncio
import json

from irp_kernel.ids import Slug

from irp_training.app.approvals import Approvals
from irp_training.app.ports import Change, Clock, Objects, Store
from irp_training.app.promote_model import put_forward
from irp_training.domain.gate import Verdict
from irp_training.domain.pushed import describe
from irp_training.domain.registry import Model
from irp_training.domain.run import ModelRef

FIRST = Verdict(passed=True, reason="there is no champion yet", margin=0.0)
REGISTRY = "registry"  # stands where a project's name stands in object keys


class RegisterModel:
    """Checks a bundle and gives it a version; the same bytes again are the same version."""

    def __init__(self, store: Store, objects: Objects, approvals: Approvals, now: Clock) -> None:
        self._store, self._objects, self._approvals, self._now = store, objects, approvals, now

    async def __call__(self, name: str, bundle: bytes, actor: str, *, promote_if_first: bool = False) -> Model:
        """Register.

        Raises:
            an error of irp_bundle: the archive is not a bundle that is safe to read.
        """
        about = await asyncio.to_thread(describe, bundle)
        ref = await self._objects.put(
            bundle,
            project=REGISTRY,
            entity="model",
            id=Slug(name),
            kind="bundle",
            media_type="application/zip",
            extension="zip",
        )
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
        return model


async def _is_first(change: Change, model: Model) -> bool:
    """True if there is no champion, and nobody was asked about this version."""
    return not await change.history(model.ref.name) and await change.lock_candidacy(model.ref) is None

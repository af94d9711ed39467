"""A queued validation -> a signed report, or a reason. Killed at any point, it is done again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from irp_kernel import ObjectRef

from irp_training.app.attempts import advanced, begin, ended, failed
from irp_training.app.case_files import case_files
from irp_training.app.ports import Clock, Objects, Signer, Store
from irp_training.app.snapshots import read_snapshot
from irp_training.app.work_ports import Worker
from irp_training.domain.learning.plan import Said
from irp_training.domain.run import Progress
from irp_training.domain.validations.certificate import MEDIA_TYPES, Validation
from irp_training.domain.validations.plan import ValidationOutcome, ValidationPlan


class ValidateModel:
    """Works on one validation until it has ended."""

    def __init__(self, store: Store, objects: Objects, worker: Worker, sign: Signer, now: Clock) -> None:
        self._store, self._objects, self._worker, self._sign, self._now = store, objects, worker, sign, now

    async def __call__(self, name: str, version: int, id: str, *, turn: int = 1) -> None:
        """Examine, keep, sign; the last `turn` ends it, whatever happens."""
        validation = await self._store.validation(name, version, id)
        if validation.ended:
            return
        try:
            begin(turn)
            outcome = await self._inspect(validation)
            files = await self._keep(validation, outcome.files)
            if signature := self._sign(manifest(validation, files)):
                files |= await self._keep(validation, {"signature.jws": signature.encode()})
        except Exception as error:
            await self._end(failed(validation, error, turn))
        else:
            words = "" if "signature.jws" in files else "not signed: this installation has no key"
            done = replace(validation, state="succeeded", files=files, summary=outcome.summary, message=words)
            await self._end(done)

    async def _inspect(self, validation: Validation) -> ValidationOutcome:
        snapshot = await read_snapshot(self._objects, validation.dataset.manifest)
        model = await self._store.model(validation.model.name, validation.model.version)
        plan = ValidationPlan(
            bundle=await self._objects.get(model.bundle),
            model=validation.model,
            dataset=validation.dataset.digest,
            project=validation.project,
            split=validation.split,
            cases=snapshot.count(validation.split),
            known=validation.known,
            created_at=validation.created_at,
        )

        async def listen(said: Said) -> bool:
            await self._note(validation, said.progress)
            return True

        return await self._worker.validate(plan, case_files(self._objects, snapshot, (validation.split,)), listen)

    async def _note(self, validation: Validation, progress: Progress) -> None:
        async with self._store.change() as change:
            current = await change.lock_validation(validation)
            if noted := advanced(current, validation, progress):
                await change.save_validation(noted)

    async def _keep(self, validation: Validation, files: Mapping[str, bytes]) -> dict[str, ObjectRef]:
        return {
            name: await self._objects.put(
                data,
                project=validation.project,
                entity="validation",
                id=validation.id,
                kind=name.split(".")[0],
                media_type=MEDIA_TYPES[name],
                extension=name.split(".")[1],
            )
            for name, data in files.items()
        }

    async def _end(self, found: Validation) -> None:
        async with self._store.change() as change:
            current = await change.lock_validation(found)
            if done := ended(current, found, self._now()):
                await change.save_validation(done)


def manifest(validation: Validation, files: Mapping[str, ObjectRef]) -> dict[str, object]:
    """What is signed: which model was judged by which data, and the hash of every file of the report."""
    return {
        "model": {
            "name": validation.model.name,
            "version": validation.model.version,
            "digest": validation.model.digest,
        },
        "dataset": {
            "digest": validation.dataset.digest,
            "project": validation.project,
            "split": validation.split,
        },
        "created_at": validation.created_at,
        "files": {name: {"sha256": ref.sha256, "bytes": ref.size} for name, ref in sorted(files.items())},
    }

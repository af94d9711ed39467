"""Move a waiting run to the front of the queue, or back: a run that works is never interrupted for another."""

from __future__ import annotations

from dataclasses import replace

from irp_training.app.ports import Project, Store
from irp_training.domain.errors import RunNotWaiting
from irp_training.domain.run import Run, require_priority


class PrioritiseRun:
    """Gives a run another priority; asking twice is asking once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, project: Project, run_id: str, priority: int) -> Run:
        """Change when a queued run begins.

        Raises:
            RunUnknown: there is no such run.
            RunNotWaiting: it has begun, or ended.
            PriorityOutOfRange: the number is not from -100 to 100.
        """
        require_priority(priority)
        async with self._store.change() as change:
            run = await change.lock_run(project.id, run_id)
            if run.priority == priority:
                return run
            if run.state != "queued":
                raise RunNotWaiting(state=run.state)
            run = replace(run, priority=priority)
            await change.save_run(run)
        return run

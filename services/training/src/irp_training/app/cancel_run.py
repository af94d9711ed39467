"""Stop a run: at once if it waits, at its next step if it works."""

from __future__ import annotations

from dataclasses import replace

from irp_training.app.ports import Clock, Project, Store
from irp_training.domain.run import Run


class CancelRun:
    """Asks a run to end; asking twice is asking once."""

    def __init__(self, store: Store, now: Clock) -> None:
        self._store, self._now = store, now

    async def __call__(self, project: Project, run_id: str) -> Run:
        """Cancel a run that has not ended.

        Raises:
            RunUnknown: there is no such run.
        """
        async with self._store.change() as change:
            run = await change.lock_run(project.id, run_id)
            if run.ended or run.cancel_asked:
                return run
            run = replace(run, cancel_asked=True)
            if run.state == "queued":
                run = replace(run, state="cancelled", finished_at=self._now())
                await change.announce_end(run, project)
            await change.save_run(run)
        return run

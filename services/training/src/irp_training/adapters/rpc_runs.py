"""Doors to runs: messages in, verbs called, messages out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.auth import ADMIN
from irp_chassis.paging import size_of
from irp_chassis.rpc import caller

from irp_training.adapters.desk import Desk, admit
from irp_training.adapters.wire import run_to_proto
from irp_training.adapters.wire_datasets import rules_from_proto
from irp_training.adapters.wire_watching import overlay_to_proto
from irp_training.app.start_run import Wish
from irp_training.domain.run import Run


class RunDoors(Desk):
    """Runs, from the queue to their curves."""

    async def StartRun(self, request: pb.StartRunRequest, context: Any) -> pb.StartRunResponse:  # noqa: N802
        """Queue a run."""
        project = admit(request.project, "owner", "annotator")
        wish = Wish(
            model=request.model,
            base=request.base,
            recipe=request.recipe,
            actor=caller().subject,
            request_id=request.request_id,
            rules=rules_from_proto(request.rules, request.sequence_classes),
            dataset_digest=request.dataset_digest,
            promote=request.promote,
            by_admin=ADMIN in caller().roles,
            priority=_allowed(request.priority),
        )
        return pb.StartRunResponse(run=await self._shown(await self._do.start_run(project, wish)))

    async def GetRun(self, request: pb.GetRunRequest, context: Any) -> pb.GetRunResponse:  # noqa: N802
        """One run with its curves."""
        project = admit(request.project)
        return pb.GetRunResponse(run=await self._shown(await self._store.run(project.id, request.run_id)))

    async def ListRuns(self, request: pb.ListRunsRequest, context: Any) -> pb.ListRunsResponse:  # noqa: N802
        """A page of a project's runs, newest last, without their curves."""
        project = admit(request.project)
        runs, after = await self._store.page_of_runs(project.id, request.after, size_of(request.limit))
        shown = [run_to_proto(run, [], await self._store.ahead(run)) for run in runs]
        return pb.ListRunsResponse(runs=shown, next=after)

    async def WatchRun(self, request: pb.WatchRunRequest, context: Any) -> AsyncIterator[pb.WatchRunResponse]:  # noqa: N802
        """The run as it changes."""
        project = admit(request.project)
        async for run, metrics, ahead in self._do.watch_run(project.id, request.run_id):
            yield pb.WatchRunResponse(run=run_to_proto(run, metrics, ahead))

    async def CancelRun(self, request: pb.CancelRunRequest, context: Any) -> pb.CancelRunResponse:  # noqa: N802
        """Stop a run."""
        project = admit(request.project, "owner", "annotator")
        return pb.CancelRunResponse(run=await self._shown(await self._do.cancel_run(project, request.run_id)))

    async def PrioritiseRun(self, request: pb.PrioritiseRunRequest, context: Any) -> pb.PrioritiseRunResponse:  # noqa: N802
        """Move a waiting run in the queue."""
        project = admit(request.project, "owner", "annotator")
        run = await self._do.prioritise_run(project, request.run_id, _allowed(request.priority))
        return pb.PrioritiseRunResponse(run=await self._shown(run))

    async def ExportRun(self, request: pb.ExportRunRequest, context: Any) -> pb.ExportRunResponse:  # noqa: N802
        """A run's curves as a picture, or for TensorBoard."""
        project = admit(request.project)
        found = await self._do.export_run(project.id, request.run_id, request.form)
        return pb.ExportRunResponse(body=found.body, media_type=found.media_type, file_name=found.file_name)

    async def _shown(self, run: Run) -> pb.Run:
        shown = run_to_proto(run, await self._store.metrics(run.project, run.id), await self._store.ahead(run))
        shown.overlays.extend(map(overlay_to_proto, await self._store.overlays(run.project, run.id)))
        return shown


def _allowed(priority: int) -> int:
    """Going before other projects' runs is for those who answer for a project."""
    if priority > 0:
        caller().require_role("owner")
    return priority

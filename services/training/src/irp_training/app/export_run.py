"""A run -> a file for people or other programs: its curves as a picture, or a TensorBoard event file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from irp_kernel.errors import InvalidArgument

from irp_training.app.ports import Objects, Store
from irp_training.app.work_ports import Compute
from irp_training.domain.run import Metric
from irp_training.domain.watching.event_file import event_file

PICTURES = 60  # newest overlays in an event file: about 5 MB
FORMS = {"curve-png": "image/png", "curve-svg": "image/svg+xml", "tensorboard": "application/octet-stream"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A file that was asked for."""

    body: bytes
    media_type: str
    file_name: str


class ExportRun:
    """Writes it anew whenever it is asked for: it is a function of the run's rows."""

    def __init__(self, store: Store, objects: Objects, compute: Compute) -> None:
        self._store, self._objects, self._compute = store, objects, compute

    async def __call__(self, project: str, run_id: str, form: str) -> Exported:
        """The file.

        Args:
            project: of the run.
            run_id: its id.
            form: "curve-png", "curve-svg" or "tensorboard".

        Raises:
            RunUnknown: there is no such run.
            InvalidArgument: there is no such form.
        """
        if form not in FORMS:
            raise InvalidArgument(f"forms are {', '.join(FORMS)}")
        return await (self._events(project, run_id) if form == "tensorboard" else self._curves(project, run_id, form))

    async def _curves(self, project: str, run_id: str, form: str) -> Exported:
        await self._store.run(project, run_id)
        ending: Literal["png", "svg"] = "svg" if form == "curve-svg" else "png"
        body = await self._compute(_draw, await self._store.metrics(project, run_id), ending)
        return Exported(body=body, media_type=FORMS[form], file_name=f"{run_id}.{ending}")

    async def _events(self, project: str, run_id: str) -> Exported:
        run = await self._store.run(project, run_id)
        wall_s = datetime.fromisoformat(run.created_at).timestamp()
        kept = (await self._store.overlays(project, run_id))[-PICTURES:]
        pictures = [(one.epoch, one.which, await self._objects.get(one.picture)) for one in kept]
        body = await self._compute(event_file, wall_s, await self._store.metrics(project, run_id), pictures)
        # TensorBoard takes files with these letters in their name, and orders them by the number behind it.
        name = f"events.out.tfevents.{int(wall_s):010d}.{run_id}"
        return Exported(body=body, media_type=FORMS["tensorboard"], file_name=name)


def _draw(metrics: list[Metric], form: Literal["png", "svg"]) -> bytes:
    """For a worker: only there is drawing loaded, which takes a second."""
    from irp_training.domain.watching.drawing import draw_curves

    return draw_curves(metrics, form)

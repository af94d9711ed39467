"""A queued run -> a mask that annotation keeps as a proposal. Killed at any point, it is done again."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from irp_kernel import ObjectRef, decode_volume, encode_mask
from irp_kernel.codec import NRRD
from irp_kernel.errors import IrpError

from irp_training.app.answer_with_container import AnswerWithContainer, ContainerAnswer
from irp_training.app.attempts import failed, finished
from irp_training.app.container_ports import Containers, Proposed, Runtime
from irp_training.app.ports import Clock, Objects
from irp_training.domain.containers.container import Container, ContainerRun, Ended
from irp_training.domain.containers.sockets import read_sockets
from irp_training.domain.run import Progress


class RunContainer:
    """Works on one run until it has ended."""

    def __init__(self, containers: Containers, objects: Objects, runtime: Runtime, now: Clock) -> None:
        self._containers, self._objects, self._now = containers, objects, now
        self._answer = AnswerWithContainer(runtime)

    async def __call__(self, project: str, run_id: str, *, last: bool = False) -> None:
        """Segment and propose; `last`: a part that is down ends it as failed, too."""
        run = await self._containers.run(project, run_id)
        if run.ended:
            return
        ends: list[Ended] = []
        try:
            done, proposed = await self._proposed(run, ends)
        except IrpError as error:
            done, proposed = failed(run, error, last=last), None
        told = replace(done, ended_with=_summary(ends), said=_said(ends))
        await self._containers.save_run(finished(told, self._now()), proposed)

    async def _proposed(self, run: ContainerRun, ends: list[Ended]) -> tuple[ContainerRun, Proposed]:
        container = await self._containers.container(run.name, run.version)
        volume = await asyncio.to_thread(decode_volume, await self._objects.get(run.target.volume))

        async def tell(done: int, of: int, ended: Ended) -> None:
            ends.append(ended)
            await self._note(run, done, of)

        answer = await self._answer(container, volume, f"run-{run.id}", tell)
        mask = await self._kept(run, answer)
        succeeded = replace(run, state="succeeded", mask=mask, values=json.dumps(answer.values, sort_keys=True))
        parameters = _parameters(container, answer)
        return succeeded, Proposed(mask=mask, at=self._now(), parameters=parameters)

    async def _kept(self, run: ContainerRun, answer: ContainerAnswer) -> ObjectRef:
        return await self._objects.put(
            await asyncio.to_thread(encode_mask, answer.mask),
            project=run.project,
            entity="series",
            id=run.target.series,
            kind="proposal",
            media_type=NRRD,
            extension="nrrd",
        )

    async def _note(self, run: ContainerRun, done: int, of: int) -> None:
        progress = Progress(fraction=done / of, step=f"run {done} of {of} has ended")
        await self._containers.save_run(replace(run, state="running", progress=progress))


def _parameters(container: Container, answer: ContainerAnswer) -> dict[str, str]:
    """What provenance says beside the container's name, version and digest."""
    sockets = read_sockets(container.sockets)
    return {
        "kind": "container",
        "image": container.image,
        "runtime": answer.ended[0].runtime,
        "exit_code": "0",
        "runs": str(len(answer.ended)),
        "seconds": f"{sum(end.seconds for end in answer.ended):.1f}",
        "frames": sockets.frames,
        "network": "none",
        **sockets.limits.to_parameters(),
    }


def _summary(ends: list[Ended]) -> str:
    told: dict[str, Any] = ends[-1].summary() | {"runs": len(ends)} if ends else {}
    return json.dumps(told, sort_keys=True)


def _said(ends: list[Ended]) -> str:
    return ends[-1].said if ends else ""

"""A queued container -> accepted or refused, after it has segmented a phantom. Killed, it is tried again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from irp_kernel import Volume
from irp_kernel.errors import IrpError

from irp_training.app.answer_with_container import AnswerWithContainer, ContainerAnswer
from irp_training.app.attempts import failed, finished
from irp_training.app.container_ports import Containers, Runtime
from irp_training.app.ports import Clock
from irp_training.domain.container_errors import ITS_FAULT
from irp_training.domain.containers.container import Check, Container, Ended, report_of
from irp_training.domain.containers.phantom import FRAMES, Kind, phantom
from irp_training.domain.containers.sockets import Sockets, read_sockets
from irp_training.domain.run import Progress

KINDS: tuple[Kind, ...] = (np.int16, np.int16, np.float32)  # of the phantom's numbers, run after run


class ConformContainer:
    """Works on one conformance test until it has ended."""

    def __init__(self, containers: Containers, runtime: Runtime, now: Clock) -> None:
        self._containers, self._runtime, self._now = containers, runtime, now
        self._answer = AnswerWithContainer(runtime, phantoms=True)

    async def __call__(self, name: str, version: int, *, last: bool = False) -> None:
        """Try it and keep the report; `last`: a part that is down ends it as failed, too."""
        container = await self._containers.container(name, version)
        if container.ended:
            return
        try:
            tested = await self._tested(container)
        except IrpError as error:
            tested = failed(container, error, last=last)
        await self._containers.save(finished(tested, self._now()))

    async def _tested(self, container: Container) -> Container:
        """Two runs on a phantom, and one on its floating twin.

        What is the container's own fault is a check that failed; all else is raised.
        """
        runtime = await self._runtime.describe()
        sockets = read_sockets(container.sockets)
        checks = [Check(name="image", passed=True, detail="linux/amd64, USER is not root, has an ENTRYPOINT")]
        answers, ends = list[ContainerAnswer](), list[Ended]()
        for turn, kind in enumerate(KINDS):
            await self._note(container, turn)
            try:
                answers.append(await self._once(container, phantom(_frames(sockets), kind), turn, ends))
            except ITS_FAULT as error:
                checks.append(Check(name=error.reason.lower(), passed=False, detail=error.message))
                break
        checks += _judged(answers, ends, sockets)
        passed = all(check.passed for check in checks)
        return replace(
            container,
            state="accepted" if passed else "refused",
            report=report_of(checks, runtime=runtime, runs=[end.summary() for end in ends], said=_said(ends)),
            message="" if passed else next(check.detail for check in checks if not check.passed),
        )

    async def _once(self, container: Container, volume: Volume, turn: int, ends: list[Ended]) -> ContainerAnswer:
        async def tell(done: int, of: int, ended: Ended) -> None:
            ends.append(ended)

        return await self._answer(container, volume, f"try-{container.digest[:16]}-{turn}", tell)

    async def _note(self, container: Container, turn: int) -> None:
        progress = Progress(fraction=turn / len(KINDS), step=f"on a phantom: run {turn + 1} of {len(KINDS)}")
        await self._containers.save(replace(container, state="running", progress=progress))


def _judged(answers: list[ContainerAnswer], ends: list[Ended], sockets: Sockets) -> list[Check]:
    """What can be said of the runs that came to an answer."""
    checks = []
    if answers:
        checks.append(Check(name="runs", passed=True, detail="exit code 0, on a phantom"))
        checks.append(Check(name="outputs", passed=True, detail="every declared output is there and can be read"))
        checks.append(Check(name="offline", passed=True, detail="answered without network, with a read-only root"))
        slowest = max(end.seconds for end in ends)
        detail = f"{slowest:.1f} s of at most {sockets.limits.time_s} s"
        checks.append(Check(name="time", passed=slowest <= sockets.limits.time_s, detail=detail))
    if len(answers) > 1:
        same = _same(answers[0], answers[1])
        detail = "the same answer twice" if same else "two runs on the same image gave different answers"
        checks.append(Check(name="deterministic", passed=same, detail=detail))
    if len(answers) == len(KINDS):
        checks.append(Check(name="numbers", passed=True, detail="takes whole and floating numbers"))
    return checks


def _frames(sockets: Sockets) -> int:
    return FRAMES if sockets.frames == "together" else 1


def _same(one: ContainerAnswer, two: ContainerAnswer) -> bool:
    return one.values == two.values and np.array_equal(one.mask.labels, two.mask.labels)


def _said(ends: list[Ended]) -> str:
    """Its last words: it has seen a phantom only, so they are shown as they are."""
    return ends[-1].said if ends else ""

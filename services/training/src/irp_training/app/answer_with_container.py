"""A container segments a volume: frame by frame or all at once, each answer judged before the next is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from irp_kernel import Mask, Volume

from irp_training.app.container_ports import Runtime, Work
from irp_training.domain.container_errors import ContainerFailed, ContainerOutOfMemory, ContainerTimeLimit
from irp_training.domain.containers.container import Container, Ended
from irp_training.domain.containers.inputs import input_files, pieces
from irp_training.domain.containers.outputs import Found, as_mask, read_outputs
from irp_training.domain.containers.sockets import Sockets, read_sockets

Tell = Callable[[int, int, Ended], Awaitable[None]]  # so many runs of so many, and how the latest ended


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerAnswer:
    """What it said of a volume: the mask, the further values of each run, and how each run ended."""

    mask: Mask
    values: tuple[dict[str, object], ...]
    ended: tuple[Ended, ...]


class AnswerWithContainer:
    """Runs a container over a volume; `phantoms`: it is not a patient's, and what the container says may be logged."""

    def __init__(self, runtime: Runtime, *, phantoms: bool = False) -> None:
        self._runtime, self._phantoms = runtime, phantoms

    async def __call__(self, container: Container, volume: Volume, key: str, tell: Tell) -> ContainerAnswer:
        """Segment the whole volume.

        Args:
            container: whose.
            volume: what.
            key: names the runs of this call.
            tell: hears of each end, also of a bad one, before anything is raised.

        Raises:
            ContainerFailed, ContainerOutOfMemory, ContainerTimeLimit: it did not end well.
            an Output error: what it left cannot be taken.
        """
        sockets = read_sockets(container.sockets)
        parts = list(pieces(volume, sockets))
        found, ends = list[Found](), list[Ended]()
        for place, part in enumerate(parts):
            inputs = await asyncio.to_thread(input_files, part, sockets)
            work = Work(
                key=key,
                piece=place,
                sees_patients=not self._phantoms,
                container=container,
                limits=sockets.limits,
                inputs=inputs,
            )
            ended = await self._runtime.run(work)
            await tell(place + 1, len(parts), ended)
            require_good_end(ended)
            found.append(await asyncio.to_thread(read_outputs, ended.outputs, sockets, part.geometry))
            ends.append(ended)
        return await asyncio.to_thread(_joined, found, ends, sockets, volume)


def require_good_end(ended: Ended) -> None:
    """Raise unless the container ended well."""
    if ended.timed_out:
        raise ContainerTimeLimit
    if ended.out_of_memory:
        raise ContainerOutOfMemory
    if ended.exit_code != 0:
        raise ContainerFailed(f"the container ended with exit code {ended.exit_code}", exit_code=ended.exit_code)


def _joined(found: list[Found], ends: list[Ended], sockets: Sockets, volume: Volume) -> ContainerAnswer:
    mask = as_mask(found, sockets, volume.geometry)
    return ContainerAnswer(mask=mask, values=tuple(dict(one.values) for one in found), ended=tuple(ends))

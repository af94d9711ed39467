"""What the verbs about containers need; the adapters say how each is done."""

# ruff: noqa: D102 - a port is its signature

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from irp_kernel import ObjectRef

from irp_training.app.ports import Project
from irp_training.domain.containers.container import Container, ContainerRun, Ended
from irp_training.domain.containers.inputs import Files
from irp_training.domain.containers.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One run of a container.

    Attributes:
        key: names the call that it belongs to, and whatever that leaves behind.
        piece: its place among the runs of the call, from 0.
        sees_patients: nothing that it says may stand in a log.
    """

    key: str
    piece: int = 0
    sees_patients: bool
    container: Container
    limits: Limits
    inputs: Files


class Runtime(Protocol):
    """Where containers run: without network, with the fewest rights."""

    async def describe(self) -> str:
        """Name and version. Raises RuntimeMissing."""
        ...

    async def run(self, work: Work) -> Ended:
        """Run it to its end, whatever that is; raises OutputNotSafe, RuntimeMissing, RuntimeRefused."""
        ...


class Archives(Protocol):
    """Where archives are kept; they are too large for memory."""

    async def put_file(
        self, path: Path, *, project: str, entity: str, id: str, kind: str, media_type: str, extension: str
    ) -> ObjectRef: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A mask that annotation shall keep as a proposal, with how it came to be."""

    mask: ObjectRef
    at: str
    parameters: dict[str, str]


class Containers(Protocol):
    """The rows of containers and of their runs."""

    async def add(self, container: Container) -> Container:
        """Give it the next version and queue its conformance test; the version that is there if it is known."""
        ...

    async def container(self, name: str, version: int) -> Container:
        """Raises ContainerUnknown."""
        ...

    async def containers(self, name: str = "") -> list[Container]: ...

    async def save(self, container: Container) -> bool:
        """Keep a change; False if its test has ended, or was begun anew, meanwhile."""
        ...

    async def promote(self, name: str, version: int, actor: str, at: str) -> Container:
        """Write down who made it the champion of its name, and when."""
        ...

    async def add_run(self, run: ContainerRun, project: Project) -> ContainerRun:
        """Add and queue it; the one that is there if it did not fail."""
        ...

    async def run(self, project: str, run_id: str) -> ContainerRun:
        """Raises ContainerRunUnknown."""
        ...

    async def runs(self, project: str, after: str, limit: int) -> tuple[list[ContainerRun], str]:
        """A page of a project's runs, oldest first, and where the next begins; empty = this was the last one."""
        ...

    async def save_run(self, run: ContainerRun, proposed: Proposed | None = None) -> bool:
        """Keep a change, and announce what is proposed; False if the run has ended meanwhile."""
        ...

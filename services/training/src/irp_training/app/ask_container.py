"""A container is asked to segment a series -> a queued run, once per container and volume."""

from __future__ import annotations

from irp_kernel import sha256_of

from irp_training.app.container_ports import Containers
from irp_training.app.ports import Clock, Project
from irp_training.domain.container_errors import ContainerNotAccepted, ContainerUnknown
from irp_training.domain.containers.container import Container, ContainerRun, Target


class AskContainer:
    """Queues a run."""

    def __init__(self, containers: Containers, now: Clock) -> None:
        self._containers, self._now = containers, now

    async def __call__(
        self, project: Project, name: str, version: int | None, target: Target, actor: str
    ) -> ContainerRun:
        """The run; one that is under way or has succeeded is answered as it is.

        Args:
            project: whose series.
            name: of the container.
            version: None = the one that was promoted last, else the newest that is accepted.
            target: the series.
            actor: who asks.

        Raises:
            ContainerUnknown, ContainerNotAccepted.
        """
        container = await accepted(self._containers, name, version)
        identity = f"{project.id}\n{container.digest}\n{target.series}\n{target.volume.sha256}"
        run = ContainerRun(
            project=project.id,
            id=sha256_of(identity.encode())[:32],
            name=container.name,
            version=container.version,
            target=target,
            actor=actor,
            created_at=self._now(),
        )
        return await self._containers.add_run(run, project)


async def accepted(containers: Containers, name: str, version: int | None) -> Container:
    """A version that passed its conformance test; None = the one that was promoted last, else the newest one.

    Raises:
        ContainerUnknown, ContainerNotAccepted.
    """
    if version is not None:
        found = await containers.container(name, version)
        if found.state != "accepted":
            raise ContainerNotAccepted(name=name, version=version, state=found.state)
        return found
    known = await containers.containers(name) if name else []
    if not known:
        raise ContainerUnknown(name=name)
    passed = [container for container in known if container.state == "accepted"]
    if not passed:
        raise ContainerNotAccepted(name=name)
    return max(passed, key=lambda container: (container.promoted_at, container.version))

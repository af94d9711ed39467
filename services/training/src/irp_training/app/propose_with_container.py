"""Quality has looked at a series -> the container that the project names for its class is asked, once per volume."""

from __future__ import annotations

from irp_kernel.ids import split_model

from irp_training.app.ask_container import AskContainer
from irp_training.app.configuration import Configurations
from irp_training.app.ports import Project
from irp_training.domain.container_errors import ContainerUnknown
from irp_training.domain.containers.container import ContainerRun, Target
from irp_training.domain.datasets.automation import proposing_container

ACTOR = "automation"


class ProposeWithContainer:
    """Queues a run where the project's automation says so."""

    def __init__(self, configurations: Configurations, ask: AskContainer) -> None:
        self._configurations, self._ask = configurations, ask

    async def __call__(self, project: Project, sequence_class: str, target: Target) -> ContainerRun | None:
        """The run; None where no container proposes.

        Raises:
            ContainerUnknown, ContainerNotAccepted: the project names one that is not there, or did not conform.
            SeriesUnknown: the series was deleted meanwhile.
        """
        wanted = proposing_container(await self._configurations.of(project), sequence_class)
        if not wanted:
            return None
        name, version = split_model(wanted)
        if isinstance(version, str):
            raise ContainerUnknown(name=wanted)
        return await self._ask(project, name, version, target, ACTOR)

"""ProjectConfigured -> the newest configuration of each project."""

from __future__ import annotations

from irp_training.app.ports import Project, Store


class RememberProject:
    """Keeps where a project's configuration lies."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, project: Project) -> None:
        """Remember a revision; an older one changes nothing."""
        async with self._store.change() as change:
            await change.remember_project(project)

"""SeriesAssessed -> whether a series is good enough to learn from."""

from __future__ import annotations

from irp_training.app.ports import Store


class RememberVerdict:
    """Keeps quality's newest verdict of each series."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, project: str, series: str, version: int, verdict: str) -> None:
        """Remember the verdict on one version of a volume."""
        async with self._store.change() as change:
            await change.remember_verdict(project, series, version, verdict)

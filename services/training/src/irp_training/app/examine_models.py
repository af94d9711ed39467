"""Models before the gate: by the worker, or, where a network came without weights, where it can do nothing."""

from __future__ import annotations

from collections.abc import Sequence

from irp_bundle import WeightsMissing

from irp_training.app.work_ports import CaseFiles, Examiner
from irp_training.domain.registry.examined import Examined


class ExamineModels:
    """Asks the worker first, which has the room's device and memory, and runs weights only.

    What is exported (TorchScript, ONNX) runs code of its own: it, and what it is compared with, run in the sandbox.
    """

    def __init__(self, worker: Examiner, sandbox: Examiner) -> None:
        self._worker, self._sandbox = worker, sandbox

    async def examine(self, bundles: Sequence[bytes], files: CaseFiles) -> tuple[Examined, ...]:
        """Each bundle on the same files, all of them in one place, so that their times can be compared."""
        try:
            return await self._worker.examine(bundles, files)
        except WeightsMissing:
            return await self._sandbox.examine(bundles, files)

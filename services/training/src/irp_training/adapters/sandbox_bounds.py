"""What a process of the sandbox may have, and what it is believed when it refuses."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irp_bundle import (
    BundleBroken,
    BundleTooLarge,
    BundleUnsafe,
    ChannelsNotKnown,
    NetworkNotAllowed,
    PipelineNotDerived,
    PipelineNotValid,
    WeightsMissing,
)
from irp_kernel.errors import IrpError

from irp_training.domain.errors import InspectionFailed, InspectionTooLarge, InspectionTooLong, NetworkMisbehaves

CHILD = (sys.executable, "-I", "-m", "irp_training.adapters.sandbox_child")
ENVIRONMENT = {
    "PATH": os.defpath,
    "HOME": "/",
    "USER": "nobody",
    "LANG": "C.UTF-8",
    # One thread: a process with threads gets no namespaces of its own.
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
}
TEXT = 400  # characters of a sentence that the sandbox says
DAY_S = 86_400  # processor's seconds of all passes; each is bounded by the clock
REFUSALS: Mapping[str, type[IrpError]] = {
    error.reason: error
    for error in (
        BundleBroken,
        BundleTooLarge,
        BundleUnsafe,
        ChannelsNotKnown,
        NetworkMisbehaves,
        NetworkNotAllowed,
        PipelineNotDerived,
        PipelineNotValid,
        WeightsMissing,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxBounds:
    """What a process may have.

    Attributes:
        memory_bytes: of all it needs.
        seconds: of one pass of at most `sandbox_engine.ROWS` inputs, or of an inspection; beyond, it is killed.
        threads: that it computes with.
        command: the process; its bounds and its work are added to it.
    """

    memory_bytes: int
    seconds: float
    threads: int = 1
    command: Sequence[str] = CHILD

    def told(self, work: str, seconds: float = DAY_S) -> list[str]:
        """The whole command of a piece of work, and of its processor's seconds."""
        return [*self.command, work, str(self.memory_bytes), str(max(1, round(seconds))), str(self.threads)]

    def refusal(self, said: Mapping[str, Any]) -> IrpError:
        """What a process says in its last line, as an error."""
        reason = str(said.get("refused", ""))
        if reason in REFUSALS:
            return REFUSALS[reason](str(said.get("message", ""))[:TEXT])
        if reason == "memory":
            return InspectionTooLarge(f"there are {self.memory_bytes >> 20} MiB", limit_bytes=self.memory_bytes)
        return InspectionFailed()

    def too_long(self) -> IrpError:
        """The clock's word."""
        return InspectionTooLong(f"it took longer than {self.seconds:g} s", limit_s=self.seconds)

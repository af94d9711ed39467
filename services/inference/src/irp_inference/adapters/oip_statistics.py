"""Counts of forward passes, as ModelStatistics tells them. They begin anew with the process."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from irp_bundle import Stage

from irp_inference.app.ports import Loaded

Key = tuple[str, int, Stage]


@dataclass(slots=True)
class Duration:
    """How often, and how long altogether."""

    count: int = 0
    ns: int = 0

    def add(self, seconds: float) -> None:
        """One more."""
        self.count += 1
        self.ns += int(seconds * 1e9)

    def told(self) -> dict[str, int]:
        """As the protocol says it."""
        return {"count": self.count, "ns": self.ns}


@dataclass(slots=True)
class _Counts:
    last_ms: int = 0
    inputs: int = 0
    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    queue: Duration = field(default_factory=Duration)
    infer: Duration = field(default_factory=Duration)
    batches: dict[int, Duration] = field(default_factory=lambda: defaultdict(Duration))


class CountedPasses:
    """See app.repository: Passes and Statistics."""

    def __init__(self) -> None:
        self._counts: dict[Key, _Counts] = defaultdict(_Counts)

    def passed(self, model: Loaded, stage: Stage, size: int, queued_s: float, took_s: float, *, ok: bool) -> None:
        """See Passes.passed."""
        counts = self._counts[model.name, model.version, stage]
        if not ok:
            counts.fail.add(queued_s + took_s)
            return
        counts.last_ms = int(time.time() * 1000)
        counts.inputs += size
        counts.success.add(queued_s + took_s)
        counts.queue.add(queued_s)
        counts.infer.add(took_s)
        counts.batches[size].add(took_s)

    def of(self, model: Loaded, stage: Stage) -> dict[str, Any]:
        """See Statistics.of. Copying to and from the engine happens inside its pass: it has no time of its own."""
        counts = self._counts.get((model.name, model.version, stage)) or _Counts()
        nothing = {"count": counts.success.count, "ns": 0}
        return {
            "last_inference": counts.last_ms,
            "inference_count": counts.inputs,
            "execution_count": counts.infer.count,
            "inference_stats": {
                "success": counts.success.told(),
                "fail": counts.fail.told(),
                "queue": counts.queue.told(),
                "compute_input": nothing,
                "compute_infer": counts.infer.told(),
                "compute_output": nothing,
                "cache_hit": {"count": 0, "ns": 0},
                "cache_miss": {"count": 0, "ns": 0},
            },
            "batch_stats": [
                {
                    "batch_size": size,
                    "compute_input": {"count": took.count, "ns": 0},
                    "compute_infer": took.told(),
                    "compute_output": {"count": took.count, "ns": 0},
                }
                for size, took in sorted(counts.batches.items())
            ],
            "memory_usage": [],
        }

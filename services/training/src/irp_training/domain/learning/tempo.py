"""How busy a run keeps its machine: slices per second, and the share of time in which learning waited for its input."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

T = TypeVar("T")


class Tempo:
    """Watches one pass after the other.

    Args:
        device: that learns.
        clock: seconds, monotonic.
    """

    def __init__(self, device: torch.device, clock: Callable[[], float] = time.perf_counter) -> None:
        self._device, self._clock = device, clock
        self._waited_s, self._slices = 0.0, 0
        self._began_s, self._worked_s = clock(), time.process_time()

    def begin(self) -> None:
        """A pass begins."""
        self._waited_s, self._slices = 0.0, 0
        self._began_s, self._worked_s = self._clock(), time.process_time()

    def waiting_for(self, batches: Iterator[T], slices: int) -> Iterator[T]:
        """The same batches of so many slices each; counts the time until each is there."""
        while True:
            asked_s = self._clock()
            batch = next(batches, None)
            self._waited_s += self._clock() - asked_s
            if batch is None:
                return
            self._slices += slices
            yield batch

    def figures(self) -> dict[str, float]:
        """Of the pass so far.

        Returns:
            samples_per_s; waiting_share, 0 to 1; memory_mib, the most that this process took so far;
            cpu_cores, how many this process kept busy on average; on a GPU
            gpu_memory_mib, the most that tensors took, and, where the driver tells, gpu_utilisation, 0 to 1, now.
        """
        took_s = max(self._clock() - self._began_s, 1e-9)
        return {
            "samples_per_s": self._slices / took_s,
            "waiting_share": self._waited_s / took_s,
            "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "cpu_cores": (time.process_time() - self._worked_s) / took_s,
        } | self._of_gpu()

    def _of_gpu(self) -> dict[str, float]:
        if self._device.type != "cuda":
            return {}
        found = {"gpu_memory_mib": torch.cuda.max_memory_allocated(self._device) / 2**20}
        # Needs NVIDIA's management library, which an installation need not have.
        with contextlib.suppress(ModuleNotFoundError, RuntimeError, OSError):
            found["gpu_utilisation"] = torch.cuda.utilization(self._device) / 100
        return found

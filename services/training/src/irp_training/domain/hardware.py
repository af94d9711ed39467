"""What a run takes of its machine, epoch by epoch. Source: getrusage(2); torch.cuda."""

from __future__ import annotations

import resource
import time

import torch

from irp_training.domain.run import Metric

MIB = 1 << 20


class Hardware:
    """Reads the process's own meters between two epochs."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._began, self._cpu = time.monotonic(), _cpu_s()

    def since(self, epoch: int) -> list[Metric]:
        """Since the last call: cores kept busy on average, peak of memory in MiB; on a GPU, peak of its memory, too."""
        now, cpu = time.monotonic(), _cpu_s()
        cores = (cpu - self._cpu) / max(now - self._began, 1e-9)
        self._began, self._cpu = now, cpu
        found = [
            Metric(epoch, "cpu_cores_busy", cores),
            Metric(epoch, "memory_mib", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        ]
        if self._device.type == "cuda":
            found.append(Metric(epoch, "gpu_memory_mib", torch.cuda.max_memory_allocated(self._device) / MIB))
            torch.cuda.reset_peak_memory_stats(self._device)
        return found


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

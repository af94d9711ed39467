"""Processes of one run on one machine, speaking by torch.distributed: NCCL between GPUs, Gloo between processors."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from irp_kernel.errors import Unavailable
from torch import Tensor, distributed

PATIENCE = timedelta(minutes=30)  # rank 0 stores checkpoints while the others wait; who dies is noticed at once
LOOPBACK = "lo"


class RankLost(Unavailable):
    """One of the processes that learn together does not answer.

    The run goes on from its latest checkpoint by itself.
    """

    retry_after_s = 2.0


@dataclass(frozen=True, slots=True)
class Seat:
    """A process's place in a run.

    Attributes:
        rank: from 0.
        size: number of processes.
        device: "cpu", "cuda:0"...
        meeting: path of a file, in a folder that only they can open, by which they find one another; empty for one.
    """

    rank: int
    size: int
    device: str
    meeting: str


@contextlib.contextmanager
def seated(devices: Sequence[str]) -> Iterator[list[Seat]]:
    """A seat at each device, while the run lasts."""
    if len(devices) == 1:
        yield [Seat(0, 1, devices[0], "")]
        return
    with tempfile.TemporaryDirectory(prefix="irp-ranks-") as folder:
        meeting = str(Path(folder) / "meeting")
        yield [Seat(rank, len(devices), device, meeting) for rank, device in enumerate(devices)]


class Group:
    """See `irp_training.domain.feeding.ranks.Ranks`; made in each process of the run, and waits for all of them.

    Raises:
        RankLost: another process has ended before all had met.
    """

    def __init__(self, seat: Seat) -> None:
        self.rank, self.size, self.device = seat.rank, seat.size, torch.device(seat.device)
        if sys.platform == "linux":
            # What they say has no password: it stays on the machine.
            os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)
            os.environ.setdefault("NCCL_SOCKET_IFNAME", LOOPBACK)
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        try:
            distributed.init_process_group(
                "nccl" if self.device.type == "cuda" else "gloo",
                init_method=f"file://{seat.meeting}",
                rank=seat.rank,
                world_size=seat.size,
                timeout=PATIENCE,
            )
        except RuntimeError as cause:
            raise RankLost from cause

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of every rank's tensor, in place.

        Raises:
            RankLost: another process has ended.
        """
        try:
            distributed.all_reduce(tensor)
        except RuntimeError as cause:
            raise RankLost from cause
        return tensor


def devices_of(device: str, processes: int) -> list[str]:
    """The device of each process of a run.

    Args:
        device: the room's: "cpu", "cuda" (any), or one GPU by its number.
        processes: wanted; 0 = one per GPU, and one on a CPU. One GPU takes no more than one.
    """
    if device == "cuda":
        gpus = torch.cuda.device_count()
        return [f"cuda:{number}" for number in range(min(processes or gpus, gpus))]
    return [device] * (1 if device.startswith("cuda") else processes or 1)

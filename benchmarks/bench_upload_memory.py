"""Resident memory of every process while one study of 3 GB goes in by a single STOW-RS request.

Starts a house, sends one streamed multipart body (nothing of it is held here beyond a file), and looks at each process
twice a second: before, the highest, and the difference. JSON: out/bench/upload_memory.json.

    python benchmarks/bench_upload_memory.py --gigabytes 3
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
from bench_house import keep, standing
from openirp.demo.mr_instance import Sheet, mr_instance

ROOT = Path(__file__).resolve().parents[1]
SIDE = 1024  # pixels: 2 MiB an instance
LOOK_S = 0.5
ANSWER_S = 3600.0
WARM_UP = 8  # instances
BOUNDARY = "irp-bench"


def body(count: int, patient: str) -> Iterator[bytes]:
    """`count` instances of 2 MiB of noise, each made when its turn comes."""
    rng = np.random.default_rng(0)
    for number in range(count):
        sheet = Sheet(patient=patient, number=number + 1, slice=number, pitch_mm=1.0, pixel_mm=0.5)
        pixels = rng.integers(0, 4096, (SIDE, SIDE), dtype=np.uint16)
        yield f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        yield mr_instance(pixels, sheet, bits=12)
        yield b"\r\n"
    yield f"--{BOUNDARY}--\r\n".encode()


def family(pid: int) -> list[int]:
    """A process and its children, and theirs."""
    said = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [pid, *(one for line in said for child in line for one in family(int(child)))]


def resident_bytes(pid: int) -> int:
    """Resident memory; 0 if the process has ended in the meantime."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except FileNotFoundError:
        return 0


class Watch:
    """Looks at the resident memory of processes, their children included, until it is closed."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids, self._ended = pids, threading.Event()
        self.before = self.look()
        self.highest = dict(self.before)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def look(self) -> dict[str, int]:
        """MiB by process."""
        return {name: round(sum(map(resident_bytes, family(pid))) / 2**20) for name, pid in self._pids.items()}

    def _run(self) -> None:
        while not self._ended.wait(LOOK_S):
            self.highest = {name: max(self.highest[name], mib) for name, mib in self.look().items()}

    def close(self) -> None:
        """Stop looking."""
        self._ended.set()
        self._thread.join()


def send(address: str, token: str, count: int, patient: str = "bench") -> float:
    """One streamed request; seconds it took."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
        "Accept": "application/dicom+json",
    }
    began = time.perf_counter()
    answer = httpx.post(address, content=body(count, patient), headers=headers, timeout=ANSWER_S)
    if answer.status_code != httpx.codes.OK or len(answer.json()["00081199"]["Value"]) != count:
        raise RuntimeError(f"answered {answer.status_code}, or not every instance was stored")
    return time.perf_counter() - began


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=3.0)
    count = int(parser.parse_args().gigabytes * 1e9 / (2 * SIDE * SIDE))
    with standing(rooms=("gateway", "ingest"), automation={}, series_quiet_s=600) as (house, project):
        address = f"{house.url}{project.path}/dicom-web/studies"
        send(address, house.keys.token, WARM_UP, "warm-up")  # the workers start
        watch = Watch({state.name: state.pid for state, _ in house.looks() if state})
        try:
            seconds = send(address, house.keys.token, count)
        finally:
            watch.close()
    rows = {n: {"before": watch.before[n], "highest": watch.highest[n]} for n in watch.before}
    for process, row in rows.items():
        print(f"{process:10s} {row['before']:6d} -> {row['highest']:6d} MiB   + {row['highest'] - row['before']}")
    print(f"{count} instances, {count * 2 * SIDE * SIDE / 1e9:.2f} GB in {seconds:.0f} s, {os.cpu_count()} cores")
    keep("upload_memory", {"instances": count, "seconds": round(seconds, 1), "mib": rows})


if __name__ == "__main__":
    main()

"""The room's side of the sandbox. What comes back is believed only as far as it has the right form."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from math import isnan
from typing import Any, TypeVar

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
from irp_kernel import CANONICAL
from irp_kernel.errors import IrpError

from irp_training.adapters.sandbox_process import Blobs, Talk, sandbox_process
from irp_training.app.work_ports import CaseFiles, StoredFile
from irp_training.domain.errors import InspectionFailed, InspectionTooLarge, InspectionTooLong, NetworkMisbehaves
from irp_training.domain.pushing.inspected import Inspected
from irp_training.domain.pushing.inspection import Check
from irp_training.domain.registry.examined import Examined

T = TypeVar("T")

CHILD = (sys.executable, "-I", "-m", "irp_training.adapters.sandbox_child")
AT_ONCE = 1  # inspections, and benchmarks: whoever pushes does not wait until another version is judged
CHECKS, CASES = 64, 100_000  # lines of one inspection, of one benchmark
TEXT = 400  # characters of a sentence that the sandbox says
DAY_S = 86_400  # processor's seconds of a whole benchmark; each case is bounded by the clock
BARS = ("namespace", "system_calls", "files")  # see irp_kernel.confinement; a namespace is not to be had in a container
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


class Given:
    """Files as they are handed over; the sandbox need not know whose they are, and the room remembers.

    Attributes:
        series: of the cases so far.
    """

    def __init__(self, files: CaseFiles) -> None:
        self._files, self._ended = files, False
        self.series = list[str]()

    async def __call__(self) -> AsyncIterator[StoredFile]:
        """The same files."""
        async for file in self._files():
            self.series.append(file[0].series)
            yield file
        self._ended = True

    def allows(self, answered: int) -> bool:
        """Whether one more case can have been answered: nobody knows a case before it is given."""
        return answered < len(self.series)

    def are_all(self, answered: int) -> bool:
        """Whether so many answers are one for each."""
        return self._ended and answered == len(self.series)


class Sandbox:
    """Has bundles looked through and tried out, each in a fresh process; see app.ports.Sandbox.

    Args:
        memory_bytes: that a process may have.
        seconds: of an inspection, and of one case; beyond, the process is killed.
        threads: of a benchmark.
        command: the process; its bounds and its work are added to it.
    """

    def __init__(self, memory_bytes: int, seconds: float, threads: int = 1, command: Sequence[str] = CHILD) -> None:
        self._memory_bytes, self._seconds, self._threads = memory_bytes, seconds, threads
        self._command = command
        self._inspecting, self._judging = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(AT_ONCE)

    async def __call__(self, data: bytes) -> Inspected:
        """Look through one bundle; what is wrong with it is in the answer."""
        checks: list[Check] = []
        async with self._inspecting, sandbox_process(self._told("inspect"), _blobs(data)) as talk:
            began = time.monotonic()
            try:
                async with asyncio.timeout(self._seconds):
                    last = await _last(talk, checks)
            except TimeoutError:
                return Inspected(checks=tuple(checks), problem=self._too_long())
        report = last.get("report")
        if not isinstance(report, dict):
            return Inspected(checks=tuple(checks), problem=self._refusal(last))
        held = last.get("held")
        made = {"held": held, "peak_bytes": last.get("peak_bytes"), "seconds": round(time.monotonic() - began, 1)}
        return Inspected(checks=(*checks, _bars(held)), report={**report, "sandbox": made})

    async def score(
        self, bundle: bytes, files: CaseFiles, listen: Callable[[int], Awaitable[None]]
    ) -> list[Mapping[str, float]]:
        """Dice per structure, case by case.

        Raises:
            WeightsMissing: the bundle is an ONNX file only, and OpenVINO is not installed.
            InspectionFailed, InspectionTooLong, InspectionTooLarge: the process ended, or one case took too long.
        """
        found, given = list[Mapping[str, float]](), Given(files)
        async with self._judging, sandbox_process(self._told("score"), _blobs(bundle, files=given)) as talk:
            async for line in self._lines(talk, given):
                if "done" not in line:
                    found.append(_dice(line["dice"]))
                    await listen(len(found))
        return found

    async def examine(self, bundles: Sequence[bytes], files: CaseFiles) -> tuple[Examined, ...]:
        """Two models on the same cases: Dice, calibration and seconds.

        Raises:
            WeightsMissing: one of them is an ONNX file only, and OpenVINO is not installed.
            InspectionFailed, InspectionTooLong, InspectionTooLarge: as `score`.
        """
        given, dice, figures = Given(files), list[list[dict[str, float]]](), list[tuple[float | None, float]]()
        async with self._judging, sandbox_process(self._told("examine"), _blobs(*bundles, files=given)) as talk:
            async for line in self._lines(talk, given):
                if "done" in line:
                    figures = _each(_figures, line["done"], len(bundles))
                else:
                    dice.append(_each(_dice, line["dice"], len(bundles)))
        return tuple(
            Examined(
                scores={one: case[number] for one, case in zip(given.series, dice, strict=True)},
                calibration_error=calibration,
                seconds_per_slice=seconds,
            )
            for number, (calibration, seconds) in enumerate(figures)
        )

    async def _lines(self, talk: Talk, given: Given) -> AsyncIterator[dict[str, Any]]:
        """One for each case, as soon as it is there, and the last, which holds `done`; no more and no fewer."""
        for answered in range(CASES):
            try:
                async with asyncio.timeout(self._seconds):
                    line = await talk.line()
            except TimeoutError:
                raise self._too_long() from None
            if "dice" not in line and "done" not in line:
                raise self._refusal(line)
            if not (given.are_all(answered) if "done" in line else given.allows(answered)):
                raise InspectionFailed
            yield line
            if "done" in line:
                return
        raise InspectionFailed

    def _told(self, work: str) -> tuple[str, ...]:
        seconds = max(1, round(self._seconds)) if work == "inspect" else DAY_S
        return (*self._command, work, str(self._memory_bytes), str(seconds), str(self._threads))

    def _too_long(self) -> IrpError:
        return InspectionTooLong(f"it took longer than {self._seconds:g} s", limit_s=self._seconds)

    def _refusal(self, last: Mapping[str, Any]) -> IrpError:
        reason = str(last.get("refused", ""))
        if reason in REFUSALS:
            return REFUSALS[reason](str(last.get("message", ""))[:TEXT])
        if reason == "memory":
            return InspectionTooLarge(f"there are {self._memory_bytes >> 20} MiB", limit_bytes=self._memory_bytes)
        return InspectionFailed()


async def _blobs(*bundles: bytes, files: CaseFiles | None = None) -> Blobs:
    for bundle in bundles:
        yield bundle
    if files is not None:
        async for _, _, *pair in files():
            for file in pair:
                yield file if isinstance(file, bytes) else await asyncio.to_thread(file.read_bytes)


async def _last(talk: Talk, checks: list[Check]) -> dict[str, Any]:
    """Collect the checks; the line after them."""
    for _ in range(CHECKS):
        line = await talk.line()
        if "check" not in line:
            return line
        checks.append(_check(line["check"]))
    return {}


def _check(said: Any) -> Check:
    words = said if isinstance(said, dict) else {}
    state = words.get("state")
    return Check(
        name=str(words.get("name", ""))[:TEXT],
        state=state if state in {"passed", "noted"} else "failed",
        says=str(words.get("says", ""))[:TEXT],
    )


def _bars(held: Any) -> Check:
    """Which of the sandbox's own bars held: somebody should know where one did not."""
    bars = held if isinstance(held, dict) else {}
    up = [name for name in BARS if bars.get(name) is True]
    missing = [name for name in BARS if name not in up]
    says = f"held by {', '.join(up) or 'bounds only'}" + (f"; not there: {', '.join(missing)}" if missing else "")
    return Check(name="sandbox", state="passed" if {"system_calls", "files"} <= set(up) else "noted", says=says)


def _dice(said: Any) -> dict[str, float]:
    known = set(CANONICAL.values())
    if not isinstance(said, dict) or not set(said) <= known:
        raise InspectionFailed
    values = {name: float(value) for name, value in said.items() if isinstance(value, (int, float))}
    if not all(isnan(value) or 0 <= value <= 1 for value in values.values()):
        raise InspectionFailed
    return values


def _figures(said: Any) -> tuple[float | None, float]:
    """Calibration error, None if there is none, and seconds per slice."""
    calibration, seconds = said if isinstance(said, list) and len(said) == 2 else (-1, -1)
    if not (calibration is None or _within(calibration, 1.0)) or not _within(seconds, DAY_S):
        raise InspectionFailed
    return calibration, float(seconds)


def _within(value: Any, most: float) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= most


def _each(read: Callable[[Any], T], said: Any, count: int) -> list[T]:
    if not isinstance(said, list) or len(said) != count:
        raise InspectionFailed
    return [read(one) for one in said]

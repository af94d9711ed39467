"""The room's side of an inspection. What comes back is believed only as far as it has the right form."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from irp_training.adapters.sandbox_bounds import TEXT, SandboxBounds
from irp_training.adapters.sandbox_process import Talk, sandbox_process
from irp_training.domain.pushing.inspected import Inspected
from irp_training.domain.pushing.inspection import Check

AT_ONCE = 1  # inspections
CHECKS = 64  # lines of one
BARS = ("namespace", "system_calls", "files")  # see irp_kernel.confinement; a namespace is not to be had in a container


class Sandbox:
    """Has bundles looked through, each in a fresh process; see app.work_ports.Inspect."""

    def __init__(self, bounds: SandboxBounds) -> None:
        self._bounds, self._inspecting = bounds, asyncio.Semaphore(AT_ONCE)

    async def __call__(self, data: bytes) -> Inspected:
        """Look through one bundle; what is wrong with it is in the answer."""
        checks: list[Check] = []
        command = self._bounds.told("inspect", self._bounds.seconds)
        async with self._inspecting, sandbox_process(command, data) as talk:
            began = time.monotonic()
            try:
                async with asyncio.timeout(self._bounds.seconds):
                    last = await _last(talk, checks)
            except TimeoutError:
                return Inspected(checks=tuple(checks), problem=self._bounds.too_long())
        report = last.get("report")
        if not isinstance(report, dict):
            return Inspected(checks=tuple(checks), problem=self._bounds.refusal(last))
        held = last.get("held")
        made = {"held": held, "peak_bytes": last.get("peak_bytes"), "seconds": round(time.monotonic() - began, 1)}
        return Inspected(checks=(*checks, _bars(held)), report={**report, "sandbox": made})


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

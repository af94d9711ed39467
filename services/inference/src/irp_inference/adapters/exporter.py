"""The room's side of the exporting process: begun when it is needed, ended when it was not needed for a while."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Any

from irp_bundle import BundleBroken, BundleTooLarge, NetworkNotAllowed

from irp_inference.adapters.child_environment import child_environment
from irp_inference.domain.errors import EngineDisagrees, LogitsNotFinite, PassFailed

STAYS_S = 20.0  # its torch takes memory that nobody else uses
TIMEOUT_S = 300.0  # one bundle; what opens files from outside may never come back
ANSWER_BYTES = 1 << 16
ERRORS = {
    error.__name__: error
    for error in (BundleBroken, BundleTooLarge, NetworkNotAllowed, EngineDisagrees, LogitsNotFinite)
}


class Exporter:
    """Exports one bundle at a time.

    Args:
        timeout_s: a bundle that takes longer is given up, and the process killed.
    """

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s, self._turn = timeout_s, asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._alarm: asyncio.TimerHandle | None = None

    async def __call__(self, bundle_path: str, cache: str, digest: str, limit_bytes: int) -> None:
        """See export.export_bundle.

        Raises:
            REFUSALS: the bundle's networks are refused.
            PassFailed: they could not be exported: an error, the process ended, or took too long.
        """
        question: dict[str, str | int] = {
            "bundle_path": bundle_path,
            "cache": cache,
            "digest": digest,
            "limit_bytes": limit_bytes,
        }
        async with self._turn:
            self._stay()
            answer = await self._ask(question)
            self._alarm = asyncio.get_running_loop().call_later(STAYS_S, self.end)
        if answer is None:
            raise PassFailed("the network could not be exported: its process ended, or took too long")
        if "error" in answer:
            detail = str(answer["detail"])
            raise ERRORS.get(answer["error"], PassFailed)(
                detail if answer["error"] in ERRORS else f"the network could not be exported ({detail})"
            )

    @property
    def pid(self) -> int | None:
        """Of the process, if it lives."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def close(self) -> None:
        """End it, and wait until it has ended."""
        process = self._process
        self.end()
        if process is not None:
            await process.wait()

    def end(self) -> None:
        """Give its memory back."""
        self._stay()
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    def _stay(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()

    async def _ask(self, question: dict[str, str | int]) -> dict[str, Any] | None:
        """The answer, or None if there will be none."""
        try:
            process = await self._begun()
            if process.stdin is None or process.stdout is None:
                return None
            process.stdin.write(json.dumps(question).encode() + b"\n")
            line = await asyncio.wait_for(process.stdout.readline(), self._timeout_s)
        except (OSError, TimeoutError):
            line = b""
        except BaseException:
            await asyncio.shield(self.close())  # an answer that is on its way belongs to nobody
            raise
        if not line:
            await self.close()
            return None
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def _begun(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            command = [sys.executable, "-m", "irp_inference.adapters.export_child"]
            pipe = asyncio.subprocess.PIPE
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, limit=ANSWER_BYTES, env=child_environment()
            )
        return self._process

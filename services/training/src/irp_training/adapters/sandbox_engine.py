"""Networks that came as they run (TorchScript, ONNX), computed by a process that can do nothing else.

They run code of their own. Only their inputs go there, and only numbers come back: what an expert drew stays here, and
so does all that is measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from math import prod
from typing import IO

import numpy as np
from irp_bundle import Bundle, Engine, Stage, TorchEngine, read_bundle
from numpy.typing import NDArray

from irp_training.adapters.sandbox_bounds import ENVIRONMENT, SandboxBounds
from irp_training.adapters.sandbox_process import head_of, said_in
from irp_training.domain.errors import InspectionFailed

ROWS = 8  # inputs of one pass
LINE_BYTES, ANSWER_BYTES = 1 << 16, 1 << 30  # of what a process says before its numbers, and of those


class ConfinedEngine:
    """See `irp_bundle.Engine`.

    Args:
        data: a bundle.
        bounds: of the process.
        openvino: compute with OpenVINO, which an ONNX file needs; else with torch.

    Raises:
        WeightsMissing: OpenVINO is wanted, and not installed.
        InspectionFailed, InspectionTooLong, InspectionTooLarge: the process ended, lied, or one pass took too long.
    """

    def __init__(self, data: bytes, bounds: SandboxBounds, *, openvino: bool) -> None:
        self._bounds = bounds
        self._process = subprocess.Popen(
            bounds.told("openvino" if openvino else "torch"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
        try:
            self._ask(data)
        except BaseException:
            self.close()
            raise

    def __call__(self, stage: Stage, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, C, *size) -> logits (N, channels, *size), both float32."""
        parts = [batch[begin : begin + ROWS] for begin in range(0, len(batch), ROWS)]
        return np.concatenate([self._answer(stage, np.ascontiguousarray(part)) for part in parts])

    def close(self) -> None:
        """End the process with all that it began."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what it was not given before it ended
                    pipe.close()
        self._process.wait()

    def _answer(self, stage: Stage, part: NDArray[np.float32]) -> NDArray[np.float32]:
        head = json.dumps({"stage": stage, "shape": part.shape}).encode()
        shape, data = self._ask(head, part.tobytes())
        if shape[:1] != [len(part)] or len(data) != 4 * prod(shape):
            raise InspectionFailed
        return np.frombuffer(data, np.float32).reshape(shape)

    def _ask(self, *blobs: bytes) -> tuple[list[int], bytes]:
        """Shape and bytes of what it answers; the process is killed if that takes too long."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        clock = threading.Timer(self._bounds.seconds, end)
        clock.start()
        try:
            return self._exchange(blobs)
        except InspectionFailed:
            raise (self._bounds.too_long() if late.is_set() else InspectionFailed()) from None
        finally:
            clock.cancel()

    def _exchange(self, blobs: Sequence[bytes]) -> tuple[list[int], bytes]:
        given, said = self._process.stdin, self._process.stdout
        if given is None or said is None:
            raise InspectionFailed
        with contextlib.suppress(BrokenPipeError):  # it ended early: its last line says why
            for blob in blobs:
                given.write(head_of(blob))
                given.write(blob)
            given.flush()
        line = said_in(said.readline(LINE_BYTES))
        shape = line.get("shape")
        if not isinstance(shape, list) or not all(isinstance(side, int) and side >= 0 for side in shape):
            raise self._bounds.refusal(line)
        return shape, _exactly(said, 4 * prod(shape) if shape else 0)


@contextmanager
def engines_of(
    bundles: Sequence[bytes], device: str, bounds: SandboxBounds, *, from_outside: bool = False
) -> Iterator[list[tuple[Bundle, Engine]]]:
    """Each bundle with one kind of engine for all, so that their times can be compared.

    That is torch on the device, from weights. Where a network came as it runs, or nobody has relied on a bundle yet
    (`from_outside`), it is the sandbox for all of them, whose processes end with the block: with torch, or with
    OpenVINO, which serves on a CPU, where a network is an ONNX file only.
    """
    read = [read_bundle(data) for data in bundles]
    if not from_outside and all(bundle.learns(stage) for bundle in read for stage in bundle.stages):
        yield [(bundle, TorchEngine(bundle, device)) for bundle in read]
        return
    openvino = not all(_is_in_torch(bundle, stage) for bundle in read for stage in bundle.stages)
    with ExitStack() as stack:
        engines = [stack.enter_context(closing(ConfinedEngine(data, bounds, openvino=openvino))) for data in bundles]
        yield list(zip(read, engines, strict=True))


def _is_in_torch(bundle: Bundle, stage: Stage) -> bool:
    return bundle.learns(stage) or "torchscript" in bundle.exports[stage]


def _exactly(stream: IO[bytes], size: int) -> bytes:
    if size > ANSWER_BYTES:
        raise InspectionFailed
    data = stream.read(size)
    if len(data) != size:
        raise InspectionFailed
    return data

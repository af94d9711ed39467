"""The sandbox: a bundle on standard input, what is found or computed on standard output. It has nothing else.

Run: `python -I -m irp_training.adapters.sandbox_child inspect|torch|openvino MEMORY_BYTES SECONDS THREADS`. It confines
itself before it reads a byte of the bundle, and before it imports anything that begins threads. It answers lines of
JSON; where it computes, each says the shape of the float32 that follow it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, BinaryIO

from irp_kernel.confinement import Bounds, Confinement, confine
from irp_kernel.errors import IrpError
from irp_kernel.lifeline import end_with_parent

# Parts of MONAI's that nobody needs here: they want to write files, and take a second to import.
NOT_NEEDED = ("matplotlib", "sklearn", "skimage", "nibabel", "tensorboard", "ignite")


def main() -> None:
    """Work on one bundle."""
    work, memory_bytes, seconds, threads = sys.argv[1], *map(int, sys.argv[2:5])
    held = confine(Bounds(memory_bytes=memory_bytes, seconds=seconds))
    end_with_parent()  # after it: another identity may make the kernel forget
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    sys.modules.update(dict.fromkeys(NOT_NEEDED))  # type: ignore[arg-type]  # None: importing it fails
    try:
        last = _work(work, blobs(sys.stdin.buffer), answers, held, threads)
    except IrpError as error:
        last = {"refused": error.reason, "message": error.message}
    except Exception as error:
        # The type only: a text may quote what was in the bundle.
        last = {"refused": "memory" if _is_memory(error) else "failed", "message": type(error).__name__}
    _tell(answers, last)


def blobs(stream: BinaryIO) -> Iterator[bytes]:
    """What comes in: eight bytes of length, then as many bytes."""
    while head := stream.read(8):
        yield stream.read(int.from_bytes(head, "big"))


def _work(work: str, given: Iterator[bytes], answers: BinaryIO, held: Confinement, threads: int) -> dict[str, Any]:
    if work != "inspect":
        return _compute(given, answers, threads, openvino=work == "openvino")
    from irp_training.domain.pushing.inspection import inspect

    report = inspect(next(given), lambda check: _tell(answers, {"check": asdict(check)}))
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10  # with torch itself
    return {"report": report, "held": asdict(held), "peak_bytes": peak_bytes}


def _compute(given: Iterator[bytes], answers: BinaryIO, threads: int, *, openvino: bool) -> dict[str, Any]:
    """A bundle, then stage and shape of inputs, and the inputs; again and again."""
    import numpy as np
    import torch

    from irp_training.domain.pushing.exported import engine_of

    torch.set_num_threads(threads)
    engine = engine_of(next(given), threads, openvino=openvino)
    _tell(answers, {"shape": []})  # it is ready
    for head, inputs in zip(given, given, strict=True):
        asked = json.loads(head)
        logits = engine(asked["stage"], np.frombuffer(inputs, np.float32).reshape(asked["shape"]))
        _tell(answers, {"shape": logits.shape}, np.ascontiguousarray(logits, np.float32).tobytes())
    return {}


def _is_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "allocate" in str(error)


def _tell(answers: BinaryIO, line: dict[str, Any], numbers: bytes = b"") -> None:
    answers.write(json.dumps(line).encode() + b"\n" + numbers)
    answers.flush()


if __name__ == "__main__":
    main()

"""The sandbox: a bundle on standard input, what was found of it as JSON lines on standard output. It has nothing else.

Run: `python -I -m irp_training.adapters.sandbox_child inspect|score|examine MEMORY_BYTES SECONDS THREADS`. It confines
itself before it reads a byte of the bundle, and before it imports anything that begins threads.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, BinaryIO, TextIO

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
    answers = os.fdopen(os.dup(1), "w")
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


def _work(work: str, given: Iterator[bytes], answers: TextIO, held: Confinement, threads: int) -> dict[str, Any]:
    if work == "score":
        return _score(given, answers, threads)
    if work == "examine":
        return _examine(given, answers, threads)
    from irp_training.domain.pushing.inspection import inspect

    report = inspect(next(given), lambda check: _tell(answers, {"check": asdict(check)}))
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10  # with torch itself
    return {"report": report, "held": asdict(held), "peak_bytes": peak_bytes}


def _score(given: Iterator[bytes], answers: TextIO, threads: int) -> dict[str, Any]:
    import torch
    from irp_bundle import Pipeline
    from irp_kernel import decode_mask, decode_volume

    from irp_training.domain.judging.scores import score_case
    from irp_training.domain.pushing.exported import engines_of

    torch.set_num_threads(threads)
    (model,) = engines_of([next(given)], threads)
    pipeline = Pipeline(*model)
    for volume, mask in zip(given, given, strict=True):
        _tell(answers, {"dice": score_case(pipeline, decode_volume(volume), decode_mask(mask))})
    return {"done": True}


def _examine(given: Iterator[bytes], answers: TextIO, threads: int) -> dict[str, Any]:
    """Two bundles, then the cases of both."""
    import torch

    from irp_training.domain.pushing.exported import engines_of
    from irp_training.domain.registry.examined import compare

    torch.set_num_threads(threads)
    models = engines_of([next(given), next(given)], threads)
    cases = ((str(number), volume, mask) for number, (volume, mask) in enumerate(zip(given, given, strict=True)))
    found = compare(models, cases, lambda dice: _tell(answers, {"dice": dice}))
    return {"done": [[one.calibration_error, one.seconds_per_slice] for one in found]}


def _is_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "allocate" in str(error)


def _tell(answers: TextIO, line: dict[str, Any]) -> None:
    print(json.dumps(line), file=answers, flush=True)


if __name__ == "__main__":
    main()

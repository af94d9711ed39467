"""The exporting process: one JSON line per bundle and answer; its memory is bounded, for bundles come from outside.

Run: `python -m irp_inference.adapters.export_child`; it ends with its standard input, or with the room.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any, TextIO

from irp_kernel.errors import IrpError
from irp_kernel.lifeline import end_with_parent

MEMORY_BYTES = 8 << 30


def main() -> None:
    """Answer until the room is gone."""
    end_with_parent()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    serve(sys.stdin, answers)


def serve(questions: TextIO, answers: TextIO) -> None:
    """One line each."""
    from irp_inference.adapters.export import export_bundle

    for line in questions:
        answer: dict[str, Any] = {}
        try:
            export_bundle(**json.loads(line))
        except IrpError as error:
            answer = {"error": type(error).__name__, "detail": error.message}
        except Exception as error:
            # The type only: a text may quote what was in the bundle.
            answer = {"error": "failed", "detail": type(error).__name__}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()

"""What the classification server answered to one question."""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """What the classification server answered.

    Attributes:
        content: the file.
        timings_ms: per stage.
        model: "name@version", or the method's name and 0.
        warnings: what a reader should look at twice: "touches-window"...
    """

    content: bytes = field(repr=False)
    timings_ms: dict[str, float]
    model: str
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, answer: httpx.Response) -> Segmentation:
        """As the gateway says it."""
        warnings = answer.headers.get("X-IRP-Warnings", "")
        return cls(
            content=answer.content,
            timings_ms=server_timing(answer.headers.get("Server-Timing", "")),
            model=answer.headers.get("X-IRP-Model", ""),
            warnings=tuple(warnings.split(", ")) if warnings else (),
        )


def server_timing(header: str) -> dict[str, float]:
    """`Server-Timing: locate;dur=3.1, segment;dur=9` -> milliseconds by name."""
    found = {}
    for entry in header.split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        for parameter in parameters:
            if parameter.startswith("dur="):
                found[name] = float(parameter[4:])
    return found

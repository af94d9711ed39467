"""In which precision a version answers: what was asked for, if the guard accepted it for this engine; else float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from irp_bundle.reduced import Precision
from irp_kernel import ObjectRef

Wish = Literal["float32", "bfloat16", "int8", "auto"]
WORTH = 1.05  # "auto" leaves float32 for a precision that is at least so many times as fast


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """The guard's word on one reduced precision of one bundle.

    Attributes:
        engine: that was judged.
        speedup: seconds of a pass in float32 over those at this precision, where it was judged; 0 = not measured.
        artefact: the networks that were judged; None = the bundle's own.
    """

    precision: Precision
    accepted: bool
    engine: str
    speedup: float = 0.0
    artefact: ObjectRef | None = None


def choose(wish: Wish, said: Sequence[Guarded], engine: str) -> tuple[Guarded | None, str]:
    """What to serve; None = float32, and if that was not asked for, why.

    Args:
        wish: "auto" = the fastest that was accepted.
        said: every word on this bundle; one refusal outweighs any number of acceptances.
        engine: that will serve.
    """
    if wish == "float32":
        return None, ""
    usable = [one for one in said if _is_usable(one, said, engine)]
    if wish == "auto":
        worth = [one for one in usable if one.speedup >= WORTH]
        return max(worth, key=lambda one: one.speedup, default=None), ""
    for one in usable:
        if one.precision == wish:
            return one, ""
    return None, _why_not(wish, said, engine)


def _is_usable(one: Guarded, said: Sequence[Guarded], engine: str) -> bool:
    refused = {other.precision for other in said if not other.accepted}
    has_networks = one.precision != "int8" or one.artefact is not None
    return one.precision not in refused and one.engine == engine and has_networks


def _why_not(wish: Wish, said: Sequence[Guarded], engine: str) -> str:
    words = [one for one in said if one.precision == wish]
    if not words:
        return f"{wish} was asked for, and was never judged for this version"
    if any(one.engine != engine for one in words) and all(one.accepted for one in words):
        return f"{wish} was asked for, and was judged for another engine than {engine}"
    return f"{wish} was asked for, and the guard refused it for this version"

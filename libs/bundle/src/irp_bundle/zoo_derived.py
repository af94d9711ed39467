"""A program as it comes together from the parts of a foreign bundle, and how it is said as `irp_pipeline`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from irp_bundle.errors import PipelineNotDerived
from irp_bundle.program import After, Largest, Look, Moving, Program, Step, Unit
from irp_bundle.program_scale import MinMax, Range, Standard
from irp_bundle.program_space import Orient
from irp_bundle.symmetry import TRANSPOSED

NOTHING_ADDED = {"largest_component": False, "fill_holes": False}  # what this house would add
MOST_OVERLAP = 0.9  # of `segment.slide`


@dataclass(slots=True)
class Derived:
    """A program as it comes together.

    Attributes:
        axes: of the network.
        before, look, after: see Program.
        unit: what one image is for MONAI: a whole frame, or a slice.
        decided: the strongest channel is taken.
        notes: what was made of what, for the report.
    """

    axes: int = 2
    before: list[Step] = field(default_factory=list)
    look: Look | None = None
    unit: Unit = "frame"
    after: After = field(default_factory=After)
    decided: bool = False
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, step: Step) -> None:
        """One more step before the network looks."""
        self.before.append(step)
        self.note(name, step)

    def note(self, name: str, part: Step | Look | Largest | After, more: str = "") -> None:
        """What was made of what, for the report."""
        values = ((one.name, getattr(part, one.name)) for one in fields(part) if getattr(part, one.name) != one.default)
        said = [f"{key} {' x '.join(map(str, value)) if isinstance(value, tuple) else value}" for key, value in values]
        self.notes.append(f"{name}: {', '.join([type(part).__name__.lower(), *said])}{more}")

    def finish(self) -> None:
        """Raise unless all of it is there.

        Raises:
            PipelineNotDerived: it does not decide; or its answers stay on another grid.
        """
        if not self.decided:
            raise PipelineNotDerived("postprocessing has no AsDiscreted with argmax")
        self.note("postprocessing", replace(self.program().after, largest=None))
        if not any(isinstance(step, Orient) for step in self.before):
            self.notes.append(
                "no Orientationd: rows and columns swapped, as MONAI reads a file whose first axis is the column"
            )

    def program(self) -> Program:
        """What MONAI computes."""
        assert self.look is not None  # noqa: S101 - there is one inferer
        after = self.after
        moved = [step for step in self.before if isinstance(step, Moving)]
        if moved and after.back == "none":
            raise PipelineNotDerived("postprocessing has no Invertd, and the answer would stay on another grid")
        if not moved:
            after = replace(after, back="none")
        return Program(look=self.look, unit=self.unit, before=tuple(self.before), after=after)

    def pipeline(self) -> dict[str, Any]:
        """As `irp_pipeline`: what MONAI computes, and nothing that this house would add."""
        program = self.program()
        scale = _normalise(program)
        if scale is None or not _is_slide(program):
            return {"program": program.to_json(), "post": NOTHING_ADDED}
        look = program.look
        segment = {"size": look.size[0], "overlap": look.overlap[0], "blend": look.blend, "slide": True}
        return {"orientation": TRANSPOSED, "segment": segment | {"normalise": scale}, "post": NOTHING_ADDED}


def _normalise(program: Program) -> dict[str, Any] | None:
    """Its steps as `normalise` of `segment.slide`, which answers a slice without its frame; None = they are more."""
    match program.before:
        case ():
            return {"kind": "none"}
        case (MinMax(low=0, high=1),):
            return {"kind": "minmax", "over": program.unit}
        case (Range(b_min=0, b_max=1, clip=True) as step,):
            return {"kind": "clip", "a_min": step.a_min, "a_max": step.a_max}
        case (Standard(nonzero=nonzero),):
            return {"kind": "standard", "over": program.unit, "nonzero": nonzero}
        case _:
            return None


def _is_slide(program: Program) -> bool:
    """`segment.slide` looks as it does."""
    look = program.look
    plain = Look(by=look.by, size=look.size, overlap=look.overlap, blend=look.blend)
    square = len(set(look.size)) == len(set(look.overlap)) == 1 and look.overlap[0] <= MOST_OVERLAP
    return len(look.size) == 2 and square and look == plain and program.after.largest is None and look.size[0] >= 16

"""A program: what others do to an image before a network sees it, how it looks, and what becomes of its answer.

Declared in `irp_pipeline` as `program`: known steps with plain arguments, each of them exactly a transform of MONAI's
on one image (`program_*.py`). Axes are those of a NIfTI file made of the volume: column, row,
slice; places are RAS. Running it is `programmed.py`'s. Source: MONAI 1.6, monai.transforms and monai.inferers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from typing import Any, Literal, TypeVar

from irp_bundle.errors import PipelineNotValid
from irp_bundle.plain import checked, flag, number, numbers, word, words_of
from irp_bundle.program_scale import MinMax, Percentiles, Range, Standard
from irp_bundle.program_size import MAX_SIDE, Crop, Fit, Resize, size_of
from irp_bundle.program_space import Orient, Space

T = TypeVar("T")

MAX_STEPS = 32  # before a network looks
MAX_LABELS = 256

Moving = Orient | Space | Resize | Crop | Fit
Scaling = MinMax | Range | Percentiles | Standard
Step = Moving | Scaling
STEPS: Mapping[str, type[Step]] = {
    "orient": Orient,
    "space": Space,
    "resize": Resize,
    "crop": Crop,
    "fit": Fit,
    "minmax": MinMax,
    "range": Range,
    "percentiles": Percentiles,
    "standard": Standard,
}
Unit = Literal["frame", "slice"]
By = Literal["patches", "slices", "whole"]
Padding = Literal["constant", "replicate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a network looks at a prepared image.

    Attributes:
        by: "patches" slide over it; "slices" of it, along `axis`, each with patches of two sides; "whole": at once.
        size: sides of what the network sees.
        overlap: of neighbouring patches along each side, as a share of it.
        blend: how overlapping patches are weighed: "constant", or "gaussian", the middle more.
        sigma: of "gaussian", as a share of a side.
        padding: around what is smaller than a patch: "constant" or "replicate".
        fill: value of "constant".
        axis: along which slices are taken.
    """

    by: By
    size: tuple[int, ...]
    overlap: tuple[float, ...] = (0.25,)
    blend: Literal["constant", "gaussian"] = "constant"
    sigma: float = 0.125
    padding: Padding = "constant"
    fill: float = 0.0
    axis: int = 2

    def __post_init__(self) -> None:
        words = (self.by, words_of(By)), (self.blend, ("constant", "gaussian")), (self.padding, words_of(Padding))
        for value, known in words:
            word(value, "look", known)
        sides = numbers(self.size, "look.size", 2, MAX_SIDE, (2,) if self.by == "slices" else (2, 3), whole=True)
        shares = numbers(self.overlap, "look.overlap", 0, 0.99, (1, len(sides)))
        number(self.sigma, "look.sigma", 0.01, 1)
        number(self.fill, "look.fill", -1e6, 1e6)
        number(self.axis, "look.axis", 0, 2, whole=True)
        object.__setattr__(self, "size", tuple(map(int, sides)))
        object.__setattr__(self, "overlap", shares if len(shares) == len(sides) else shares * len(sides))


@dataclass(frozen=True, slots=True, kw_only=True)
class Largest:
    """Of some labels the largest pieces stay, as KeepLargestConnectedComponent has it.

    Attributes:
        labels: channels; empty = every one that occurs.
        independent: each by itself; else all of them as one.
        connectivity: steps to a neighbour, 1 to the number of axes; 0 = that number.
        pieces: that stay.
        on: "grid": before the answer is brought back to the image, "image": after that.
    """

    labels: tuple[int, ...] = ()
    independent: bool = True
    connectivity: int = 0
    pieces: int = 1
    on: Literal["grid", "image"] = "image"

    def __post_init__(self) -> None:
        found = numbers(self.labels, "largest.labels", 0, MAX_LABELS, tuple(range(MAX_LABELS)), whole=True)
        object.__setattr__(self, "labels", tuple(map(int, found)))
        flag(self.independent, "largest.independent")
        number(self.connectivity, "largest.connectivity", 0, 3, whole=True)
        number(self.pieces, "largest.pieces", 1, 64, whole=True)
        word(self.on, "largest.on", ("grid", "image"))


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """What becomes of the answer.

    Attributes:
        activation: of the scores before anything else.
        back: what is brought back to the image's own grid: the "scores", whose strongest is taken there, or the
            "labels" of the network's grid; "none": the grids are the same.
        nearest: values of the nearest voxel; else by the mode of each step before.
        largest: see Largest; None = all pieces stay.
    """

    activation: Literal["none", "softmax", "sigmoid"] = "none"
    back: Literal["none", "scores", "labels"] = "none"
    nearest: bool = True
    largest: Largest | None = None

    def __post_init__(self) -> None:
        word(self.activation, "after.activation", ("none", "softmax", "sigmoid"))
        word(self.back, "after.back", ("none", "scores", "labels"))
        flag(self.nearest, "after.nearest")
        if self.back == "labels" and not self.nearest:
            raise PipelineNotValid("between labels there is nothing: `after.back` of labels is `nearest`")
        if self.back == "scores" and self.largest is not None and self.largest.on == "grid":
            raise PipelineNotValid("`after.largest` is of labels, and those of `back` scores are on the image")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """All of it.

    Attributes:
        look: how the network looks.
        unit: what one image is: a whole "frame", or a "slice" without a place in space.
        before: steps, in their order.
        after: what becomes of the answer.
    """

    look: Look
    unit: Unit = "frame"
    before: tuple[Step, ...] = ()
    after: After = After()

    def __post_init__(self) -> None:
        word(self.unit, "unit", words_of(Unit))
        axes = 3 if self.unit == "frame" else 2
        if (len(self.look.size) != axes) != (self.look.by == "slices"):
            raise PipelineNotValid(f"a {self.unit} has {axes} axes: `look.size` has as many, or slices are looked at")
        moved = [step for step in self.before if isinstance(step, Moving)]
        if axes == 2 and any(isinstance(step, Orient | Space) for step in moved):
            raise PipelineNotValid("a slice by itself has no place in space: `orient` and `space` are for frames")
        if any(isinstance(step, Resize | Fit) and len(step.size) != axes for step in moved):
            raise PipelineNotValid(f"`resize` and `fit` of a {self.unit} have {axes} sides")
        if any(isinstance(one, Resize) and isinstance(two, Space) for one, two in combinations(moved, 2)):
            raise PipelineNotValid("`space` comes before `resize`, which leaves no millimetres")
        if moved and self.after.back == "none":
            raise PipelineNotValid("the steps before change the grid, and `after.back` does not bring answers back")
        if self.look.by == "whole" and (not moved or size_of(moved[-1]) != self.look.size):
            raise PipelineNotValid(
                "a network that looks at the whole image needs one size: `resize` or `fit` comes last"
            )
        if len(self.before) > MAX_STEPS:
            raise PipelineNotValid(f"a program has at most {MAX_STEPS} steps before the network")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One input of the network: (channels, *size)."""
        return 1, *self.look.size

    def to_json(self) -> dict[str, Any]:
        """As it stands in `irp_pipeline`."""
        names = {cls: name for name, cls in STEPS.items()}
        return {
            "unit": self.unit,
            "before": [{"do": names[type(step)], **_plain(asdict(step))} for step in self.before],
            "look": _plain(asdict(self.look)),
            "after": _plain(asdict(self.after)),
        }

    @classmethod
    def from_json(cls, document: object) -> Program:
        """Read it.

        Raises:
            PipelineNotValid: an unknown key or a value out of bounds.
        """
        given = checked(document, "program", [field.name for field in fields(cls)])
        before = given.pop("before", [])
        if not isinstance(before, list):
            raise PipelineNotValid("`program.before` is a list of steps")
        look, after = _made(Look, given.pop("look", None)), _after(given.pop("after", {}))
        return cls(look=look, before=tuple(map(_step, before)), after=after, **given)


def _step(document: object) -> Step:
    name = document.get("do") if isinstance(document, Mapping) else None
    if not isinstance(document, Mapping) or not isinstance(name, str) or name not in STEPS:
        raise PipelineNotValid(f"`do` of a step is one of {', '.join(STEPS)}")
    return _made(STEPS[name], {key: value for key, value in document.items() if key != "do"})


def _after(document: object) -> After:
    given = dict(document) if isinstance(document, Mapping) else document
    if isinstance(given, dict) and given.get("largest") is not None:
        given["largest"] = _made(Largest, given["largest"])
    return _made(After, given)


def _made(cls: type[T], document: object) -> T:
    known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    name = cls.__name__.lower()
    try:
        return cls(**checked(document, name, known))
    except TypeError as cause:  # one that has no default is not said
        raise PipelineNotValid(f"`{name}` needs more of {', '.join(known)}") from cause


def _plain(value: Any) -> Any:
    """JSON knows no tuples: what is read back is what was written."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value

"""JSON -> PipelineSpec: every key known, every value within its bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar, get_args

from irp_bundle.errors import PipelineNotValid
from irp_bundle.program import Program
from irp_bundle.prompts import PromptsSpec
from irp_bundle.spec import (
    SPEC_VERSION,
    Blend,
    Dimension,
    Fallback,
    LocateSpec,
    Normalise,
    Over,
    PipelineSpec,
    PostSpec,
    Scaling,
    SegmentSpec,
)
from irp_bundle.symmetry import AS_STORED, SYMMETRIES, is_orientation

T = TypeVar("T")

MAX_SIZE = 1024  # pixels
MAX_SPACING = 100.0  # mm
WHOLE, PER_WINDOW = ("minmax", "standard"), ("zscore", "percentile")  # kinds of `normalise`

RANGES: Mapping[str, tuple[float, float]] = {
    "size": (16, MAX_SIZE),
    "spacing": (0, MAX_SPACING),
    "slice_spacing": (0, MAX_SPACING),
    "neighbours": (1, 4),
    "depth": (2, 256),
    "overlap": (0, 0.9),
    "low": (0, 50),
    "high": (50, 100),
    "a_min": (-1e6, 1e6),
    "a_max": (-1e6, 1e6),
    "threshold": (0.01, 0.99),
    "min_pixels": (1, 100_000),
    "look_again": (0, 10),
    "frames": (1, 64),
    "margin": (1, 10),
    "near_previous": (0, 10),
}
WORDS: Mapping[str, tuple[str, ...]] = {
    "kind": get_args(Scaling),
    "fallback": get_args(Fallback),
    "dimension": get_args(Dimension),
    "over": get_args(Over),
    "blend": get_args(Blend),
}


def read_spec(document: object) -> PipelineSpec:
    """Read `irp_pipeline`.

    Raises:
        PipelineNotValid: an unknown key or a value out of bounds.
    """
    given = _object(document, "irp_pipeline", PipelineSpec)
    spec = PipelineSpec(
        orientation=_orientation(given.get("orientation", AS_STORED)),
        spacing_range=_range(given.get("spacing_range", [0, 0])),
        locate=_stage(given.get("locate", {}), "locate", LocateSpec),
        segment=_stage(given.get("segment", {}), "segment", SegmentSpec),
        augment=_augment(given.get("augment", [])),
        post=_stage(given.get("post", {}), "post", PostSpec),
        prompts=PromptsSpec.from_json(given["prompts"]) if given.get("prompts") is not None else None,
        program=Program.from_json(given["program"]) if given.get("program") is not None else None,
        version=given.get("version", SPEC_VERSION),
    )
    if spec.version != SPEC_VERSION:
        raise PipelineNotValid(f"this platform knows version {SPEC_VERSION} of `irp_pipeline`")
    _require_sliding(spec)
    _require_program_alone(spec)
    by_slice = spec.segment.dimension == "2d" and not spec.segment.spacing and spec.orientation == AS_STORED
    if spec.prompts is not None and not by_slice:
        raise PipelineNotValid("a model that takes marks looks at windows of single slices as they are stored")
    return spec


def _require_sliding(spec: PipelineSpec) -> None:
    """Scales of whole slices and frames need networks that see whole slices, and the other way round."""
    scale, segment = spec.segment.normalise, spec.segment
    if spec.locate.normalise.kind in WHOLE or (scale.kind in WHOLE and not segment.slide):
        raise PipelineNotValid(f"{' and '.join(WHOLE)} go with `segment.slide`")
    if segment.slide and (segment.dimension != "2d" or segment.spacing or scale.kind in PER_WINDOW):
        raise PipelineNotValid("`segment.slide` is 2d, without `spacing`, and scales whole slices or frames")


def _require_program_alone(spec: PipelineSpec) -> None:
    """A program says all of it: what else said how stage 2 looks would be overheard."""
    if spec.program is None:
        return
    others = replace(spec, program=None, post=PostSpec(), spacing_range=(0.0, 0.0))
    if others != PipelineSpec():
        raise PipelineNotValid("beside `program` there are `spacing_range` and `post` only")


def _orientation(value: object) -> str:
    if not is_orientation(value):
        raise PipelineNotValid(
            "`orientation` is as-stored, transposed or two letters of A, P, R, L, H, F on different axes"
        )
    return str(value)


def _range(value: object) -> tuple[float, float]:
    if not isinstance(value, (list, tuple)) or len(value) != 2 or not all(_is_number(item) for item in value):
        raise PipelineNotValid("`spacing_range` is [least, greatest] mm per pixel")
    low, high = float(value[0]), float(value[1])
    if not 0 <= low <= high <= MAX_SPACING:
        raise PipelineNotValid(f"`spacing_range` rises, from 0 to {MAX_SPACING:g} mm per pixel")
    return low, high


def _augment(value: object) -> tuple[str, ...]:
    names = tuple(value) if isinstance(value, (list, tuple)) else None
    if names is None or not all(isinstance(name, str) and name in SYMMETRIES for name in names):
        raise PipelineNotValid(f"`augment` is a list of {', '.join(SYMMETRIES)}")
    if len(set(names)) != len(names):
        raise PipelineNotValid("`augment` names each way once")
    return names


def _object(document: object, name: str, cls: type[Any]) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise PipelineNotValid(f"`{name}` is an object")
    known = [field.name for field in fields(cls)]
    if set(document) - set(known):
        raise PipelineNotValid(f"keys of `{name}` are {', '.join(known)}")
    return dict(document)


def _stage(document: object, name: str, cls: Callable[..., T]) -> T:
    given = _object(document, name, cls)  # type: ignore[arg-type]
    return cls(**{key: _value(f"{name}.{key}", key, value, cls) for key, value in given.items()})


def _value(path: str, key: str, value: Any, cls: Any) -> Any:
    if key == "normalise":
        return _normalise(path, value)
    if key in WORDS:
        if value not in WORDS[key]:
            raise PipelineNotValid(f"`{path}` is one of {', '.join(WORDS[key])}")
        return value
    if key == "size" and isinstance(value, list) and len(value) == 2 and value[0] == value[1]:
        value = value[0]
    default = getattr(cls(), key)
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise PipelineNotValid(f"`{path}` is true or false")
        return value
    low, high = RANGES[key]
    if not _is_number(value) or not low <= value <= high:
        raise PipelineNotValid(f"`{path}` is a number from {low:g} to {high:g} (a size is square)")
    return type(default)(value)


def _normalise(path: str, value: Any) -> Normalise:
    how = _stage({"kind": value} if isinstance(value, str) else value, path, Normalise)
    if how.a_min >= how.a_max:
        raise PipelineNotValid(f"`{path}.a_min` is below `a_max`")
    return how


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

"""`irp_pipeline` of configs/inference.json: how two networks become one answer. Declared, not coded.

Every key has a default; an unknown key is refused, for a misspelt one would silently change results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeVar, get_args

from irp_bundle.errors import PipelineNotValid
from irp_bundle.prompts import PromptsSpec

SPEC_VERSION = 1
MAX_SIZE = 1024  # pixels

Fallback = Literal["neighbour", "centre"]
Scaling = Literal["zscore", "percentile"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalise:
    """How intensities of one crop become numbers that a network knows.

    Attributes:
        kind: "zscore": clip to the percentiles, subtract the mean, divide by the standard deviation;
            "percentile": map the percentiles to 0 and 1 and clip.
        low: lower percentile, 0 to 50. Pixels equal to the slice's minimum (padding, air) are left out.
        high: upper percentile, 50 to 100.
    """

    kind: Scaling = "zscore"
    low: float = 1.0
    high: float = 99.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LocateSpec:
    """Stage 1: find the left ventricle in the whole slice.

    Attributes:
        size: pixels per side of the square grid on which the whole slice is looked at.
        normalise: intensities.
        threshold: probability from which a pixel counts as left ventricle.
        min_pixels: least area of the found region on the grid; smaller is not found.
        look_again: side of the second look in box sizes, so that the field of view plays no part; 0 = one look.
        frames: key frames, evenly spread over the cycle, on which a cine is located.
        margin: side of the crop in box sizes.
        fallback: where a slice's own box is missing or far off: the line through its neighbours' boxes, or the centre.
    """

    size: int = 128
    normalise: Normalise = Normalise()
    threshold: float = 0.5
    min_pixels: int = 20
    look_again: float = 2.8
    frames: int = 2
    margin: float = 2.4
    fallback: Fallback = "neighbour"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSpec:
    """Stage 2: segment the crop.

    Attributes:
        size: pixels per side of the crop's grid.
        normalise: intensities.
    """

    size: int = 128
    normalise: Normalise = Normalise()


@dataclass(frozen=True, slots=True, kw_only=True)
class PostSpec:
    """What is done to the labels of each slice.

    Attributes:
        largest_component: keep the largest connected piece of the left ventricle and of each further structure.
        fill_holes: holes inside the left ventricle become what surrounds them.
        one_ring: blood pool that touches the outside of its myocardium gets no leak: see `post.py`.
    """

    largest_component: bool = True
    fill_holes: bool = True
    one_ring: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSpec:
    """The whole pipeline.

    Attributes:
        locate: stage 1.
        segment: stage 2.
        post: after both.
        prompts: how the model looks at marks; None = it takes none.
        version: of this format.
    """

    locate: LocateSpec = LocateSpec()
    segment: SegmentSpec = SegmentSpec()
    post: PostSpec = PostSpec()
    prompts: PromptsSpec | None = None
    version: int = SPEC_VERSION

    @classmethod
    def from_json(cls, document: object) -> PipelineSpec:
        """Read `irp_pipeline`.

        Raises:
            PipelineNotValid: an unknown key or a value out of bounds.
        """
        given = _object(document, "irp_pipeline", cls)
        spec = cls(
            locate=_stage(given.pop("locate", {}), "locate", LocateSpec),
            segment=_stage(given.pop("segment", {}), "segment", SegmentSpec),
            post=_stage(given.pop("post", {}), "post", PostSpec),
            prompts=PromptsSpec.from_json(given.pop("prompts")) if given.get("prompts") is not None else None,
            version=given.pop("version", SPEC_VERSION),
        )
        if spec.version != SPEC_VERSION:
            raise PipelineNotValid(f"this platform knows version {SPEC_VERSION} of `irp_pipeline`")
        return spec

    def to_json(self) -> dict[str, Any]:
        """As it stands in configs/inference.json."""
        document = asdict(self)
        for stage in ("locate", "segment"):
            document[stage]["size"] = [document[stage]["size"]] * 2
        document.pop("prompts")  # platforms that do not know the key go on reading models without marks
        return document if self.prompts is None else document | {"prompts": self.prompts.to_json()}


_RANGES: dict[str, tuple[float, float]] = {
    "size": (16, MAX_SIZE),
    "low": (0, 50),
    "high": (50, 100),
    "threshold": (0.01, 0.99),
    "min_pixels": (1, 100_000),
    "look_again": (0, 10),
    "frames": (1, 64),
    "margin": (1, 10),
}
_WORDS: dict[str, tuple[str, ...]] = {"kind": get_args(Scaling), "fallback": get_args(Fallback)}


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
        return _stage({"kind": value} if isinstance(value, str) else value, path, Normalise)
    if key in _WORDS:
        if value not in _WORDS[key]:
            raise PipelineNotValid(f"`{path}` is one of {', '.join(_WORDS[key])}")
        return value
    if key == "size" and isinstance(value, list) and len(value) == 2 and value[0] == value[1]:
        value = value[0]
    default = getattr(cls(), key)
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise PipelineNotValid(f"`{path}` is true or false")
        return value
    low, high = _RANGES[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise PipelineNotValid(f"`{path}` is a number from {low:g} to {high:g} (a size is square)")
    return type(default)(value)

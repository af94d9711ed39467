"""Bundles as MONAI's Model Zoo has them: no `irp_pipeline`, but `preprocessing`, `inferer` and `postprocessing`.

Each part is looked up in a table; none is imported or called. A part, or an argument of it, that has no exact equal
here refuses the bundle by name: nothing is guessed. Source: MONAI bundle specification; MONAI 1.6, monai.transforms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from irp_bundle.errors import PipelineNotDerived
from irp_bundle.references import resolved
from irp_bundle.spec import Over
from irp_bundle.symmetry import TRANSPOSED

MAX_STEPS = 32  # of one Compose
FEET_AND_HEAD = {"S": "H", "I": "F"}  # axcodes and Patient Orientation name them differently
# Arguments that change nothing of the answer, for every part.
INDIFFERENT = frozenset(
    {"keys", "device", "sw_device", "sw_batch_size", "progress", "cache_roi_weight_map", "cpu_thresh"}
)
INDIFFERENT |= {"allow_missing_keys", "track_meta", "data_type", "image_only", "ensure_channel_first", "simple_keys"}
INDIFFERENT |= {"meta_keys", "meta_key_postfix", "meta_key", "orig_keys", "orig_meta_keys", "labels", "buffer_steps"}
SAME = ("LoadImaged", "EnsureChannelFirstd", "AddChanneld", "EnsureTyped", "ToTensord", "ToDeviced", "SaveImaged")

AS_FLOAT = (None, "float32", "$torch.float32", "$np.float32", "$numpy.float32")

Arguments = dict[str, Any]


@dataclass(slots=True)
class Derived:
    """A pipeline as it comes together.

    Attributes:
        orientation: see PipelineSpec.
        scale: `normalise`, but for `over`.
        segment: size, overlap and blend of the inferer.
        over: what one image is for MONAI: a whole frame, or a slice.
        decided: the strongest channel is taken.
        notes: what was made of what, for the report.
    """

    orientation: str = TRANSPOSED
    scale: dict[str, Any] = field(default_factory=lambda: {"kind": "none"})
    segment: dict[str, Any] = field(default_factory=dict)
    over: Over = "frame"
    decided: bool = False
    notes: list[str] = field(default_factory=list)

    def pipeline(self) -> dict[str, Any]:
        """As `irp_pipeline`: what MONAI computes, and nothing that this house would add."""
        scale = self.scale | ({"over": self.over} if self.scale["kind"] in {"minmax", "standard"} else {})
        return {
            "orientation": self.orientation,
            "segment": {**self.segment, "slide": True, "normalise": scale},
            "post": {"largest_component": False, "fill_holes": False},
        }


def is_foreign(config: Mapping[str, Any]) -> bool:
    """True if a configuration says in MONAI's keys, and only there, how an answer is made."""
    return "irp_pipeline" not in config and bool({"preprocessing", "inferer"} & set(config))


def derive(config: Mapping[str, Any]) -> Derived:
    """The pipeline of a configuration that is foreign.

    Raises:
        PipelineNotDerived: a part has no equal here; the message names the first.
    """
    made = Derived()
    for step in _steps(config, "preprocessing"):
        _apply(PREPROCESSING, made, *step)
    _apply(INFERERS, made, *_part(resolved(config.get("inferer"), config), "inferer"))
    for step in _steps(config, "postprocessing"):
        _apply(POSTPROCESSING, made, *step)
    if not made.decided:
        raise PipelineNotDerived("postprocessing has no AsDiscreted with argmax")
    if made.orientation == TRANSPOSED:
        made.notes.append(
            "no Orientationd: rows and columns swapped, as MONAI reads a file whose first axis is the column"
        )
    return made


def network_definition(config: Mapping[str, Any]) -> Any:
    """`network_def` with its references followed."""
    return resolved(config.get("network_def"), config)


def _steps(config: Mapping[str, Any], where: str) -> list[tuple[str, Arguments]]:
    compose = resolved(config.get(where), config)
    name, arguments = _part(compose, where)
    steps = arguments.get("transforms")
    if name != "Compose" or not isinstance(steps, list) or len(steps) > MAX_STEPS:
        raise PipelineNotDerived(f"`{where}` is no Compose of at most {MAX_STEPS} transforms")
    return [_part(step, where) for step in steps if not _is_off(step)]


def _part(step: object, where: str) -> tuple[str, Arguments]:
    if not isinstance(step, Mapping) or not isinstance(step.get("_target_"), str):
        raise PipelineNotDerived(f"`{where}` holds something without `_target_`")
    name = str(step["_target_"]).rsplit(".", 1)[-1][:64]
    arguments = {str(key): value for key, value in step.items() if not str(key).startswith("_")}
    return _in_dictionaries(name), arguments


def _in_dictionaries(name: str) -> str:
    """Three endings name one transform: SpacingD and SpacingDict are Spacingd."""
    for ending in ("Dict", "D"):
        if name.endswith(ending):
            return name.removesuffix(ending) + "d"
    return name


def _is_off(step: object) -> bool:
    return isinstance(step, Mapping) and step.get("_disabled_") is True


def _apply(
    table: Mapping[str, Callable[[Derived, Arguments], None]], made: Derived, name: str, said: Arguments
) -> None:
    if name in SAME and said.get("dtype") in AS_FLOAT:
        return
    if name not in table:
        raise PipelineNotDerived(f"{name} has no equal here; known are {', '.join(table)}")
    left = {key: value for key, value in said.items() if key not in INDIFFERENT}
    for key, value in left.items():
        if isinstance(value, str) and value.startswith("$"):
            raise PipelineNotDerived(f"`{key[:64]}` of {name} is an expression, and nothing is evaluated here")
    table[name](made, left)
    if left:
        raise PipelineNotDerived(f"`{min(left)[:64]}` of {name} has no equal here")


def _take(said: Arguments, key: str, default: Any, *allowed: Any) -> Any:
    """An argument, taken out; refused later, for it stays, if it is none of those allowed."""
    value = said.get(key, default)
    if not allowed or any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed):
        said.pop(key, None)
    return value


def _scale(made: Derived, name: str, scale: dict[str, Any]) -> None:
    if made.scale["kind"] != "none":
        raise PipelineNotDerived(f"{name} scales what was scaled before")
    made.scale = scale
    made.notes.append(f"{name}: normalise {scale['kind']}")


def _scale_intensity(made: Derived, said: Arguments) -> None:
    _take(said, "minv", 0.0, 0)
    _take(said, "maxv", 1.0, 1)
    _take(said, "factor", None, None)
    _take(said, "channel_wise", False, False, True)  # there is one channel
    _scale(made, "ScaleIntensityd", {"kind": "minmax"})


def _scale_range(made: Derived, said: Arguments) -> None:
    low, high = said.pop("a_min", None), said.pop("a_max", None)
    exact = [_take(said, "b_min", None, 0), _take(said, "b_max", None, 1), _take(said, "clip", False, True)]
    if exact != [0, 1, True]:
        raise PipelineNotDerived("ScaleIntensityRanged has an equal with b_min 0, b_max 1 and clip only")
    _scale(made, "ScaleIntensityRanged", {"kind": "clip", "a_min": low, "a_max": high})


def _normalize(made: Derived, said: Arguments) -> None:
    _take(said, "subtrahend", None, None)
    _take(said, "divisor", None, None)
    _take(said, "channel_wise", False, False, True)
    nonzero = bool(_take(said, "nonzero", False, False, True))
    _scale(made, "NormalizeIntensityd", {"kind": "standard", "nonzero": nonzero})


def _orient(made: Derived, said: Arguments) -> None:
    """Axis 0 is MONAI's rows; `axcodes` say where it leads, then where axis 1, its columns, leads."""
    codes = said.pop("axcodes", None)
    if not isinstance(codes, str) or len(codes) != 3 or set(codes) - set("LRAPSI"):
        raise PipelineNotDerived("`axcodes` of Orientationd are three of L, R, A, P, S, I")
    rows, columns = (FEET_AND_HEAD.get(letter, letter) for letter in codes[:2])
    made.orientation = columns + rows
    made.notes.append(f"Orientationd {codes}: each slice in its nearest lay, columns to {columns} and rows to {rows}")


def _slices(made: Derived, said: Arguments) -> None:
    if _take(said, "spatial_dim", 0, 2) != 2:
        raise PipelineNotDerived("SliceInferer has an equal with `spatial_dim` 2 only: the slices as they are")
    _windows(made, said, "SliceInferer", "frame")


def _sliding(made: Derived, said: Arguments) -> None:
    _windows(made, said, "SlidingWindowInferer", "slice")


def _windows(made: Derived, said: Arguments, name: str, over: Over) -> None:
    roi, overlap = said.pop("roi_size", None), said.pop("overlap", 0.25)
    sizes = roi if isinstance(roi, list) else [roi, roi]
    overlaps = overlap if isinstance(overlap, list) else [overlap]
    if len(sizes) != 2 or sizes[0] != sizes[1] or len(set(overlaps)) != 1:
        raise PipelineNotDerived(f"`roi_size` of {name} is a square, and `overlap` the same along both sides")
    blend = str(_take(said, "mode", "constant", "constant", "gaussian"))
    _take(said, "sigma_scale", 0.125, 0.125)
    _take(said, "padding_mode", "constant", "constant")
    _take(said, "cval", 0.0, 0)
    made.segment, made.over = {"size": sizes[0], "overlap": overlaps[0], "blend": blend}, over
    made.notes.append(f"{name}: slide, size {sizes[0]}, overlap {overlaps[0]}, {blend}; scaled over the {over}")


def _activate(made: Derived, said: Arguments) -> None:
    _take(said, "softmax", False, True, False)  # the strongest channel stays the strongest
    _take(said, "sigmoid", False, False)
    _take(said, "other", None, None)


def _invert(made: Derived, said: Arguments) -> None:
    _take(said, "transform", None, "@preprocessing")
    for key in ("nearest_interp", "to_tensor", "post_func"):
        _take(said, key, None, None, True, False)


def _decide(made: Derived, said: Arguments) -> None:
    made.decided = _take(said, "argmax", False, True) is True
    for key in ("to_onehot", "threshold", "rounding"):
        _take(said, key, None, None, False)


PREPROCESSING: Mapping[str, Callable[[Derived, Arguments], None]] = {
    "ScaleIntensityd": _scale_intensity,
    "ScaleIntensityRanged": _scale_range,
    "NormalizeIntensityd": _normalize,
    "Orientationd": _orient,
}
INFERERS: Mapping[str, Callable[[Derived, Arguments], None]] = {
    "SliceInferer": _slices,
    "SlidingWindowInferer": _sliding,
}
POSTPROCESSING: Mapping[str, Callable[[Derived, Arguments], None]] = {
    "Activationsd": _activate,
    "Invertd": _invert,
    "AsDiscreted": _decide,
}

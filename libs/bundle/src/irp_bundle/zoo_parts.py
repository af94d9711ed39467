"""Parts of MONAI's that have an exact equal here: name -> what it adds to the program.

An argument that a part understands is taken out of what was said; whatever is left refuses the bundle by its name.
Source: MONAI 1.6, monai.transforms and monai.inferers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from irp_bundle.errors import PipelineNotDerived
from irp_bundle.program import Largest, Look, Moving
from irp_bundle.program_scale import MinMax, Percentiles, Range, Standard
from irp_bundle.program_size import Crop, Fit, Resize, size_of
from irp_bundle.program_space import Orient, Space
from irp_bundle.zoo_derived import Derived

AS_FLOAT = (None, "float32", "$torch.float32", "$np.float32", "$numpy.float32")
AS_DOUBLE = (None, "float64", "$torch.float64", "$np.float64", "$numpy.float64")
READERS = ("itkreader", "nibabelreader", "pydicomreader")
LABELS = [["L", "R"], ["P", "A"], ["I", "S"]]  # of Orientationd: its default

Arguments = dict[str, Any]


Part = Callable[[Derived, Arguments], None]


def _take(said: Arguments, key: str, default: Any, *allowed: Any) -> Any:
    """An argument, taken out; refused later, for it stays, if it is none of those allowed."""
    value = said.get(key, default)
    if not allowed or any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed):
        said.pop(key, None)
    return value


def _as_it_is(made: Derived, said: Arguments) -> None:
    _take(said, "dtype", None, *AS_FLOAT)


def _load(made: Derived, said: Arguments) -> None:
    """These readers give the column as the first axis; one with arguments of its own need not."""
    if isinstance(reader := said.get("reader"), str):
        said["reader"] = reader.rsplit(".", 1)[-1].lower()
    _take(said, "reader", None, None, *READERS)
    _as_it_is(made, said)


def _channel_first(made: Derived, said: Arguments) -> None:
    _take(said, "channel_dim", None, None, "no_channel")


def _min_max(made: Derived, said: Arguments) -> None:
    _take(said, "factor", None, None)
    _take(said, "channel_wise", False, False, True)  # there is one channel
    _as_it_is(made, said)
    made.add("ScaleIntensityd", MinMax(low=said.pop("minv", 0.0), high=said.pop("maxv", 1.0)))


def _range(made: Derived, said: Arguments) -> None:
    _as_it_is(made, said)
    ends = {key: said.pop(key, None) for key in ("a_min", "a_max", "b_min", "b_max")}
    made.add("ScaleIntensityRanged", Range(**ends, clip=said.pop("clip", False)))


def _percentiles(made: Derived, said: Arguments) -> None:
    _take(said, "channel_wise", False, False, True)
    _as_it_is(made, said)
    ends = {key: said.pop(key, None) for key in ("lower", "upper", "b_min", "b_max")}
    how = {key: said.pop(key, False) for key in ("clip", "relative")}
    made.add("ScaleIntensityRangePercentilesd", Percentiles(**ends, **how))


def _standard(made: Derived, said: Arguments) -> None:
    _take(said, "subtrahend", None, None)
    _take(said, "divisor", None, None)
    _take(said, "channel_wise", False, False, True)
    _as_it_is(made, said)
    made.add("NormalizeIntensityd", Standard(nonzero=said.pop("nonzero", False)))


def _orient(made: Derived, said: Arguments) -> None:
    _take(said, "as_closest_canonical", False, False)
    _take(said, "labels", None, None, LABELS)
    made.add("Orientationd", Orient(to=said.pop("axcodes", "")))


def _space(made: Derived, said: Arguments) -> None:
    for key in ("diagonal", "scale_extent", "recompute_affine"):
        _take(said, key, False, False)
    for key in ("min_pixdim", "max_pixdim"):
        _take(said, key, None, None)
    _take(said, "ensure_same_shape", True, True, False)  # there is one image
    _take(said, "dtype", None, *AS_DOUBLE)
    wanted = said.pop("pixdim", None)
    sides = wanted if isinstance(wanted, list) else [wanted]
    mm = [0.0 if isinstance(side, int | float) and side < 0 else side for side in sides]
    mm += mm[-1:] * (3 - len(mm))  # the last stands for those that are not said
    how = {"mode": said.pop("mode", "bilinear"), "padding": said.pop("padding_mode", "border")}
    made.add("Spacingd", Space(mm=tuple(mm), corners=said.pop("align_corners", False), **how))  # type: ignore[arg-type]


def _resize(made: Derived, said: Arguments) -> None:
    _take(said, "size_mode", "all", "all")
    _take(said, "anti_aliasing", False, False)
    _take(said, "anti_aliasing_sigma", None, None)
    _as_it_is(made, said)
    size, mode = said.pop("spatial_size", None), said.pop("mode", "area")
    made.add("Resized", Resize(size=size, mode=mode, align_corners=said.pop("align_corners", None)))


def _crop(made: Derived, said: Arguments) -> None:
    """Where nothing is put around the box, it does not matter how."""
    _take(said, "source_key", None, "image", None)
    _take(said, "channel_indices", None, None, 0)
    for key in ("start_coord_key", "end_coord_key"):
        said.pop(key, None)
    step = Crop(
        margin=said.pop("margin", 0), divisible=said.pop("k_divisible", 1), within=said.pop("allow_smaller", False)
    )
    tight = step.margin == 0 and step.divisible == 1
    _take(said, "mode", "constant", *("constant", "minimum", "edge", "replicate", "reflect")[: 5 if tight else 1])
    made.add("CropForegroundd", step)


def _pad(made: Derived, said: Arguments) -> None:
    made.add("SpatialPadd", Fit(size=_fitted(said, "spatial_size"), shrinks=False))


def _center_crop(made: Derived, said: Arguments) -> None:
    made.add("CenterSpatialCropd", Fit(size=_fitted(said, "roi_size"), grows=False))


def _pad_or_crop(made: Derived, said: Arguments) -> None:
    made.add("ResizeWithPadOrCropd", Fit(size=_fitted(said, "spatial_size")))


def _fitted(said: Arguments, key: str) -> Any:
    """Sides; what is not positive is as it is."""
    _take(said, "method", "symmetric", "symmetric")
    _take(said, "mode", "constant", "constant")
    sides = said.pop(key, None)
    return [0 if side == -1 else side for side in sides] if isinstance(sides, list) else sides


def _slices(made: Derived, said: Arguments) -> None:
    axis = said.pop("spatial_dim", 0)
    _looks(made, "SliceInferer", Look(by="slices", axis=axis, **_window(said, 2)))


def _patches(made: Derived, said: Arguments) -> None:
    roi = said.get("roi_size")
    axes = len(roi) if isinstance(roi, list) else made.axes
    made.unit = "frame" if axes == 3 else "slice"
    _looks(made, "SlidingWindowInferer", Look(by="patches", **_window(said, axes)))


def _whole(made: Derived, said: Arguments) -> None:
    size = next((size_of(step) for step in reversed(made.before) if isinstance(step, Moving)), None)
    if size is None:
        raise PipelineNotDerived("SimpleInferer has an equal where Resized or ResizeWithPadOrCropd gives one size")
    made.unit = "frame" if len(size) == 3 else "slice"
    _looks(made, "SimpleInferer", Look(by="whole", size=size))


def _looks(made: Derived, name: str, look: Look) -> None:
    made.look = look
    made.note(name, look, f"; one image is a {made.unit}")


def _window(said: Arguments, axes: int) -> Arguments:
    _take(said, "with_coord", False, False)
    roi, overlap = said.pop("roi_size", None), said.pop("overlap", 0.25)
    return {
        "size": roi if isinstance(roi, list) else [roi] * axes,
        "overlap": overlap if isinstance(overlap, list) else [overlap],
        "blend": said.pop("mode", "constant"),
        "sigma": said.pop("sigma_scale", 0.125),
        "padding": said.pop("padding_mode", "constant"),
        "fill": said.pop("cval", 0.0),
    }


def _activate(made: Derived, said: Arguments) -> None:
    """Before answers are brought back values matter; after that the strongest channel stays the strongest."""
    soft, sigmoid = _take(said, "softmax", False, True, False), _take(said, "sigmoid", False, True, False)
    _take(said, "other", None, None)
    if made.decided or made.after.activation != "none" or (soft and sigmoid):
        raise PipelineNotDerived("Activationsd comes once, before AsDiscreted")
    if made.after.back == "none" and (soft or sigmoid):
        made.after = replace(made.after, activation="softmax" if soft else "sigmoid")


def _invert(made: Derived, said: Arguments) -> None:
    _take(said, "transform", None, "@preprocessing")
    _take(said, "to_tensor", True, True, False)
    _take(said, "post_func", None, None)
    _take(said, "orig_keys", None, None, "image")
    nearest = _take(said, "nearest_interp", True, True, False)
    if made.after.back != "none":
        raise PipelineNotDerived("Invertd comes once")
    moves = any(isinstance(step, Space | Resize) for step in made.before)
    if made.decided and not nearest and moves:
        raise PipelineNotDerived("Invertd after AsDiscreted, without `nearest_interp`, makes fractions of labels")
    largest = made.after.largest
    made.after = replace(
        made.after,
        back="labels" if made.decided else "scores",
        nearest=bool(nearest) or made.decided,
        largest=replace(largest, on="grid") if largest else None,
    )


def _decide(made: Derived, said: Arguments) -> None:
    if made.decided:
        raise PipelineNotDerived("AsDiscreted comes once")
    made.decided = _take(said, "argmax", False, True) is True
    for key in ("to_onehot", "threshold", "rounding"):
        _take(said, key, None, None, False)


def _keep_largest(made: Derived, said: Arguments) -> None:
    _take(said, "is_onehot", None, None, False)
    if not made.decided or made.after.largest is not None:
        raise PipelineNotDerived("KeepLargestConnectedComponentd comes once, after AsDiscreted")
    labels = said.pop("applied_labels", None)
    largest = Largest(
        labels=[] if labels is None else labels if isinstance(labels, list) else [labels],  # type: ignore[arg-type]
        independent=said.pop("independent", True),
        connectivity=said.pop("connectivity", None) or 0,
        pieces=said.pop("num_components", 1),
    )
    made.after = replace(made.after, largest=largest)
    made.note("KeepLargestConnectedComponentd", largest)


SAME: Mapping[str, Part] = {
    "LoadImaged": _load,
    "EnsureChannelFirstd": _channel_first,
    "AddChanneld": _as_it_is,
    "EnsureTyped": _as_it_is,
    "CastToTyped": _as_it_is,
    "ToTensord": _as_it_is,
    "ToDeviced": _as_it_is,
}
PREPROCESSING: Mapping[str, Part] = {
    "ScaleIntensityd": _min_max,
    "ScaleIntensityRanged": _range,
    "ScaleIntensityRangePercentilesd": _percentiles,
    "NormalizeIntensityd": _standard,
    "Orientationd": _orient,
    "Spacingd": _space,
    "Resized": _resize,
    "CropForegroundd": _crop,
    "SpatialPadd": _pad,
    "CenterSpatialCropd": _center_crop,
    "ResizeWithPadOrCropd": _pad_or_crop,
}
INFERERS: Mapping[str, Part] = {
    "SliceInferer": _slices,
    "SlidingWindowInferer": _patches,
    "SimpleInferer": _whole,
}
POSTPROCESSING: Mapping[str, Part] = {
    "Activationsd": _activate,
    "Invertd": _invert,
    "AsDiscreted": _decide,
    "KeepLargestConnectedComponentd": _keep_largest,
}

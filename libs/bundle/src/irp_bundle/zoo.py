"""Bundles as MONAI's Model Zoo has them: no `irp_pipeline`, but `preprocessing`, `inferer` and `postprocessing`.

Each part is looked up in a table (`zoo_parts.py`); none is imported or called. A part, or an argument of it, without an
exact equal here refuses the bundle by name: nothing is guessed. Source: MONAI bundle specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from irp_bundle.errors import PipelineNotDerived, PipelineNotValid
from irp_bundle.references import resolved
from irp_bundle.zoo_derived import Derived
from irp_bundle.zoo_parts import INFERERS, POSTPROCESSING, PREPROCESSING, SAME, Arguments, Part

MAX_STEPS = 32  # of one Compose
# Arguments that change nothing of the answer, for every part.
INDIFFERENT = frozenset(
    {"keys", "device", "sw_device", "sw_batch_size", "progress", "cache_roi_weight_map", "cpu_thresh"}
)
INDIFFERENT |= {"allow_missing_keys", "track_meta", "data_type", "image_only", "ensure_channel_first", "simple_keys"}
INDIFFERENT |= {"meta_keys", "meta_key_postfix", "meta_key", "orig_meta_keys", "buffer_steps"}
IMAGE, ANSWER = "image", "pred"  # what MONAI's evaluators call them


def is_foreign(config: Mapping[str, Any]) -> bool:
    """True if a configuration says in MONAI's keys, and only there, how an answer is made."""
    return "irp_pipeline" not in config and bool({"preprocessing", "inferer"} & set(config))


def derive(config: Mapping[str, Any]) -> Derived:
    """The pipeline of a configuration that is foreign.

    Raises:
        PipelineNotDerived: a part has no equal here; the message names the first.
    """
    definition = network_definition(config)
    axes = definition.get("spatial_dims") if isinstance(definition, Mapping) else None
    made = Derived(axes=axes if axes in (2, 3) else 2)
    for step in _steps(config, "preprocessing"):
        _apply(PREPROCESSING, made, *step, of=IMAGE)
    _apply(INFERERS, made, *_part(resolved(config.get("inferer"), config), "inferer"))
    for step in _steps(config, "postprocessing"):
        _apply(POSTPROCESSING, made, *step, of=ANSWER)
    try:
        made.finish()
    except PipelineNotValid as cause:
        raise PipelineNotDerived(cause.message) from cause
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
    if not isinstance(step.get("_disabled_", False), bool):
        raise PipelineNotDerived(f"whether {name} is there is an expression, and nothing is evaluated here")
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


def _apply(table: Mapping[str, Part], made: Derived, name: str, said: Arguments, of: str = "") -> None:
    if name == "SaveImaged":
        return
    part = SAME.get(name, table.get(name))
    if part is None:
        raise PipelineNotDerived(f"{name} has no equal here; known are {', '.join(table)}")
    left = {key: _alone(value) for key, value in said.items() if key not in INDIFFERENT}
    for key, value in left.items():
        if isinstance(value, str) and value.startswith("$") and key != "dtype":
            raise PipelineNotDerived(f"`{key[:64]}` of {name} is an expression, and nothing is evaluated here")
    try:
        part(made, left)
    except PipelineNotValid as cause:
        raise PipelineNotDerived(f"{name}: {cause.message}") from cause
    if left:
        raise PipelineNotDerived(f"`{min(left)[:64]}` of {name} has no equal here")
    if of and name not in SAME and of not in _listed(said.get("keys")):
        raise PipelineNotDerived(f"`keys` of {name} do not name `{of}`, and nothing else is known here")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _alone(value: Any) -> Any:
    """A list for keys of which there is one: its one word or flag."""
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str | bool) else value

"""A recipe from a request: known keys only, every value within its bounds, and nothing that does not go together."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from irp_bundle import LocateSpec, SegmentSpec

from irp_training.domain.errors import BadRecipe
from irp_training.domain.judging.bounds import INSTALLED, Bounds
from irp_training.domain.judging.gate import WAYS
from irp_training.domain.judging.precision import REDUCED
from irp_training.domain.recipes.recipe import (
    AMP,
    CONFIGURING,
    FINE_TUNING,
    FROM_SCRATCH,
    LEVELS,
    LIMITS,
    NARROWEST,
    OF_STACKS,
    OPEN,
    PIPELINES,
    RECIPE_LIMIT,
    SIZE_STEP,
    SIZES,
    STAGES,
    TEXT_LIMIT,
    WIDEST,
    Recipe,
)

MOST_NAMED = 8  # elements of a list


def read_recipe(text: str, *, fine_tuning: bool, structures: Mapping[str, int], bounds: Bounds = INSTALLED) -> Recipe:
    """A recipe from a request's JSON over the defaults.

    Args:
        text: JSON object, or empty.
        fine_tuning: the run starts from a model.
        structures: the canonical names that there are.
        bounds: the installation's: the defaults of the keys that say them, and what no recipe may loosen.

    Raises:
        BadRecipe: an unknown key, or a value out of bounds.
    """
    base = (FINE_TUNING if fine_tuning else FROM_SCRATCH).kept_to(bounds)
    given = _read_object(text)
    known = {field.name: getattr(base, field.name) for field in fields(Recipe)}
    for key in given:
        if key not in known:
            raise BadRecipe(f"keys of a recipe are {', '.join(known)}")
    recipe = replace(base, **{key: _read_value(key, value, known[key]) for key, value in given.items()})
    if recipe.pipeline == "own" and "stages" not in given:
        recipe = replace(recipe, stages=STAGES)
    recipe = _opened(recipe, given, fine_tuning)
    _require_base(recipe, fine_tuning)
    _require_dimensions(recipe, fine_tuning)
    _require(bool(recipe.stages) and set(recipe.stages) <= set(STAGES), f"`stages` holds some of {', '.join(STAGES)}")
    _require(set(recipe.precisions) <= set(REDUCED), f"`precisions` holds some of {', '.join(REDUCED)}")
    _require(recipe.gate in WAYS, f"`gate` is one of {', '.join(WAYS)}")
    beyond = bounds.loosened_by(recipe.bounds)
    _require(not beyond, f"{beyond} here: a recipe may tighten the gate's bounds, and never loosen them")
    _require(recipe.amp in AMP, f"`amp` is one of {', '.join(AMP)}")
    _require(set(recipe.structures) <= set(structures), f"`structures` holds some of {', '.join(structures)}")
    _require(fine_tuning or set(recipe.stages) == set(STAGES), "a run from scratch trains both stages")
    _require(
        _fits(recipe.segment_size), f"`segment_size` is 0, or from {SIZES[0]} to {SIZES[1]} in steps of {SIZE_STEP}"
    )
    _require_levels(recipe, fine_tuning)
    _require(recipe.window == 0 or recipe.window >= NARROWEST, f"`window` is 0, or from {NARROWEST:g} up")
    return recipe


def _require_base(recipe: Recipe, fine_tuning: bool) -> None:
    """What goes with a base only."""
    _require(recipe.pipeline in PIPELINES, f"`pipeline` is one of {', '.join(PIPELINES)}")
    own = recipe.pipeline == "own"
    _require(fine_tuning or not (recipe.frozen or recipe.replay or own), "`frozen`, `replay`, `pipeline` need a base")
    _require(not own or set(recipe.stages) == set(STAGES), "with `pipeline` own both stages are trained")


def _require_levels(recipe: Recipe, fine_tuning: bool) -> None:
    """Nets that are built anew halve what they see as often as they have levels; the rules see to it in 3D."""
    if not fine_tuning or recipe.pipeline == "own":
        _require(bool(recipe.locate_channels), "`locate_channels` is not empty")
        _require_halves("locate_channels", recipe.locate_channels, LocateSpec().size)
    if fine_tuning or recipe.dimensions == 3:
        return
    fixed = recipe.configure == "fixed"
    channels = recipe.segment_channels or (FROM_SCRATCH.segment_channels if fixed else ())
    size = recipe.segment_size or (SegmentSpec().size if fixed else 0)
    if channels and size:
        _require_halves("segment_channels", channels, size)


def _require_halves(key: str, channels: tuple[int, ...], size: int) -> None:
    """Skip connections need a grid that every level halves exactly; normalising needs more than one cell of it."""
    by = 2 ** (len(channels) - 1)
    _require(
        size % by == 0 and size > by,
        f"`{key}` of {len(channels)} levels take sizes above {by} that can be divided by it, and not {size}",
    )


def _opened(recipe: Recipe, given: Mapping[str, Any], fine_tuning: bool) -> Recipe:
    """What the training cases shall decide is left open where the request does not name it."""
    if recipe.dimensions == 3 and not fine_tuning and "configure" not in given:
        recipe = replace(recipe, configure="fingerprint")
    if recipe.configure != "fingerprint":
        return recipe
    return replace(recipe, **{key: value for key, value in OPEN.items() if key not in given})


def _require_dimensions(recipe: Recipe, fine_tuning: bool) -> None:
    """What goes together of `dimensions` and `configure`."""
    _require(recipe.dimensions != 1, "`dimensions` is 2, 3, or 0: the base's")
    _require(recipe.segment_depth != 1, "`segment_depth` is 0, or from 2 up")
    _require(recipe.configure in CONFIGURING, f"`configure` is one of {', '.join(CONFIGURING)}")
    configured = recipe.configure == "fingerprint"
    _require(
        not (fine_tuning and configured),
        "`configure` fingerprint is for runs from scratch: a run from a base keeps what its base was configured for",
    )
    _require(
        fine_tuning or recipe.dimensions != 3 or configured,
        "`dimensions` 3 needs `configure` fingerprint: leave it out, and name the keys that are to be your own",
    )
    named = [key for key in OF_STACKS if getattr(recipe, key)]
    _require(
        not named or (recipe.dimensions == 3 and not fine_tuning),
        f"`{', '.join(named)}` goes with `dimensions` 3, from scratch",
    )
    _require(recipe.clip_percentile == 0 or recipe.clip_percentile >= 50, "`clip_percentile` is 0, or from 50 up")


def _fits(size: int) -> bool:
    return size == 0 or (size >= SIZES[0] and size % SIZE_STEP == 0)


def _read_object(text: str) -> dict[str, Any]:
    _require(len(text) <= RECIPE_LIMIT, f"a recipe has {RECIPE_LIMIT} characters at most")
    try:
        given = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):  # the latter: thousands of brackets in one another
        raise BadRecipe("the recipe is not JSON") from None
    _require(isinstance(given, dict), "the recipe is not a JSON object")
    return dict(given)


def _read_value(key: str, value: Any, default: Any) -> Any:
    if isinstance(default, tuple):
        return _read_list(key, value)
    if isinstance(default, str):
        _require(
            isinstance(value, str) and len(value) <= TEXT_LIMIT, f"`{key}` is text of at most {TEXT_LIMIT} letters"
        )
        return value
    _require(isinstance(value, (int, float)) and not isinstance(value, bool), f"`{key}` is a number")
    low, high = LIMITS[key]
    _require(low <= value <= high, f"`{key}` is from {low:g} to {high:g}")
    _require(isinstance(default, float) or float(value).is_integer(), f"`{key}` is a whole number")
    return type(default)(value)


def _read_list(key: str, value: Any) -> tuple[Any, ...]:
    widths = key.endswith("channels")
    element: Callable[[Any], Any] = int if widths else str
    valid = isinstance(value, list) and len(value) <= MOST_NAMED and all(type(v) is element for v in value)
    _require(valid, f"`{key}` is a list")
    if widths:
        least, most = LEVELS
        _require(not value or least <= len(value) <= most, f"`{key}` has from {least} to {most} levels")
        _require(all(1 <= width <= WIDEST for width in value), f"widths of `{key}` are from 1 to {WIDEST}")
    else:
        _require(len(set(value)) == len(value), f"`{key}` names one thing twice")
    return tuple(value)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise BadRecipe(message)

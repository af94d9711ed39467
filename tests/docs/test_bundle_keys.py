"""What you learn here: the table of a bundle's keys says every key of `irp_pipeline` with the default that it has."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from irp_bundle import PipelineSpec, PromptsSpec
from irp_bundle.program import STEPS, Look, Program
from irp_bundle.zoo_parts import INFERERS, POSTPROCESSING, PREPROCESSING, SAME

README = Path(__file__).parents[2] / "libs/bundle/README.md"
HOW_TO = Path(__file__).parents[2] / "docs/how-to/push-a-model.md"


def test_every_key_stands_in_the_table_with_its_default() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| `?([^|`]+)`? \|", README.read_text(), re.MULTILINE)
    told = {key: json.loads(default) for key, default in rows}
    spec = PipelineSpec().to_json()
    flat = {key: value for key, value in spec.items() if not isinstance(value, dict)}
    for stage in ("locate", "segment", "post"):
        flat |= {f"{stage}.{key}": value for key, value in spec[stage].items()}
    for stage in ("locate", "segment"):
        flat[f"{stage}.size"], flat[f"{stage}.normalise"] = flat[f"{stage}.size"][0], flat[f"{stage}.normalise"]["kind"]
    flat |= {
        f"segment.{key}": getattr(PipelineSpec().segment, key) for key in ("slide", "blend")
    }  # left out if as here
    flat |= {"program": None} | program_defaults()
    flat |= {f"prompts.{key}": value for key, value in PromptsSpec().to_json().items()}
    assert told == flat


def program_defaults() -> dict[str, Any]:
    """Of a program that says nothing but what it has to say."""
    said = {"by": "patches", "size": (16, 16, 16)}
    program = Program(look=Look(**said)).to_json()  # type: ignore[arg-type]
    look = {key: value for key, value in program["look"].items() if key not in said} | {"overlap": [0.25]}
    parts = {"look": look, "after": program["after"]}
    flat = {f"program.{part}.{key}": value for part, keys in parts.items() for key, value in keys.items()}
    return flat | {"program.unit": program["unit"], "program.before": program["before"]}


def test_every_step_of_a_program_stands_in_the_table_with_its_arguments() -> None:
    rows = re.findall(r"^\| [A-Z][^|`]* \| `([a-z]+)` \| (.*) \|$", README.read_text(), re.MULTILINE)
    told = {name: re.findall(r"`([a-z_]+)`", re.sub(r"\([^)]*\)", "", arguments)) for name, arguments in rows}
    assert told == {name: [field.name for field in fields(step)] for name, step in STEPS.items()}


def test_every_part_of_a_foreign_bundle_that_is_understood_stands_in_the_how_to() -> None:
    rows = re.findall(r"^\| (`[A-Z][^|]*) \| [^|]* \|$", HOW_TO.read_text(), re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert told == {*SAME, *PREPROCESSING, *INFERERS, *POSTPROCESSING, "SaveImaged"}

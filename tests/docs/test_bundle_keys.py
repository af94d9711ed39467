"""What you learn here: the table of a bundle's keys says every key of `irp_pipeline` with the default that it has."""

from __future__ import annotations

import json
import re
from pathlib import Path

from irp_bundle import PipelineSpec, PromptsSpec

README = Path(__file__).parents[2] / "libs/bundle/README.md"


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
    flat |= {f"prompts.{key}": value for key, value in PromptsSpec().to_json().items()}
    assert told == flat

"""Figures -> report.html (one file, nothing from outside) and report.json (every figure on the page)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import jinja2

from openirp.report.charts import before_after, line_chart

PARAMETERS = {
    "snr": "Signal to noise",
    "cnr": "Contrast to noise",
    "homogeneity": "Homogeneity",
    "artefact": "Artefact measure",
}


def write_report(figures: dict[str, Any], output: Path, pictures: dict[str, Any] | None = None) -> None:
    """Write the page, and the figures beside it with the ending .json.

    Args:
        figures: see README, "report.json".
        output: the page's path.
        pictures: data URIs: "slices" = list of {src, caption}, "heatmap" = src.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    clean = finite(figures)
    output.with_suffix(".json").write_text(json.dumps(clean, indent=1, ensure_ascii=False) + "\n")
    output.write_text(page(clean, pictures or {}))


def page(figures: dict[str, Any], pictures: dict[str, Any]) -> str:
    """The page's text."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("openirp.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"figure": figure, "short": short, "moment": moment}
    template = environment.get_template("report.html.j2")
    return template.render(f=figures, pictures=pictures, charts=charts(figures), parameters=PARAMETERS)


def charts(figures: dict[str, Any]) -> dict[str, Any]:
    """The page's charts as SVG text."""
    return {
        "quality": {name: chart for name in PARAMETERS if (chart := _quality(figures, name))},
        "dice_curve": _curves(figures, "dice", "Dice"),
        "loss_curve": _curves(figures, "loss", "loss"),
        "before_after": before_after(
            [
                (f"{row['patient']}, {row['structure'].replace('_', ' ')}", row["before"], row["after"])
                for row in figures.get("dice", {}).get("rows", [])
            ]
        ),
    }


def _quality(figures: dict[str, Any], parameter: str) -> str:
    curves = {
        series["label"]: [(one["slice"], one["parameters"].get(parameter)) for one in series["slices"]]
        for series in figures.get("quality", [])
    }
    return line_chart(curves, x_label="slice", y_label="")


def _curves(figures: dict[str, Any], word: str, label: str) -> str:
    curves: dict[str, list[tuple[float, float]]] = {}
    for metric in (figures.get("training") or {}).get("metrics", []):
        if word in metric["name"] and not metric["name"].endswith(("_low", "_high")):
            name = metric["name"].removeprefix(f"val_{word}_").replace("val_", "validation ").replace("_", " ")
            curves.setdefault(name, []).append((metric["epoch"], metric["value"]))
    return line_chart(curves, x_label="epoch", y_label=label)


def finite(value: Any) -> Any:
    """The same figures with null for what is not a number: JSON has no NaN."""
    if isinstance(value, dict):
        return {str(key): finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def figure(value: Any, digits: int = 3) -> str:
    """A number for reading; a dash for what is not known."""
    if value is None or value == "":
        return "–"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def moment(value: Any) -> str:
    """A time stamp for reading: date and minute, UTC."""
    return str(value)[:16].replace("T", " ") if value else "–"


def short(value: Any, length: int = 12) -> str:
    """The beginning of a hash or identifier."""
    text = str(value or "–")
    return text if len(text) <= length else f"{text[:length]}…"

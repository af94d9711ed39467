"""The report for people: one HTML file that needs nothing from outside, and a PDF of the same."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl

from irp_training.domain.validations.document import Document
from irp_training.domain.watching.drawing import INK, SOFT, STYLE, to_bytes

from matplotlib.backends.backend_pdf import PdfPages  # isort: skip - after drawing, which chooses the backend
from matplotlib.figure import Figure  # isort: skip

CSS = (
    "body{font:15px/1.5 system-ui,sans-serif;color:#22282e;max-width:62rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:.6rem 0}td,th{padding:.2rem .8rem;border-bottom:1px solid #e7eaee;"
    "text-align:left}h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}code{font-size:.85em}"
    "img{max-width:100%}figure{display:inline-block;margin:.4rem;width:17rem}small,.soft{color:#5b6672}"
)
LINES_PER_PAGE = 60
Row = Sequence[str]
Table = tuple[str, Row, Sequence[Row]]


def as_html(said: Document, pictures: Sequence[bytes]) -> bytes:
    """The page; `pictures` are PNG of the worst cases, in the document's order."""
    content = said.content
    parts = [f"<h1>{_title(content)}</h1>", _paragraphs(_opening(content))]
    for title, head, rows in tables(content):
        parts += [f"<h2>{html.escape(title)}</h2>", _table(head, rows)]
    parts += ["<h2>Bland-Altman</h2>", _image(to_bytes(draw_agreement(content), "png"), "Bland-Altman plots")]
    parts.append("<h2>Worst cases</h2><p class=soft>White: the expert. Colour: the model.</p>")
    for one, picture in zip(content["worst"], pictures, strict=True):
        caption = f"<figcaption><small>Dice {one['dice']:.3f}, series <code>{html.escape(one['series'])}</code>"
        parts.append(f"<figure>{_image(picture, 'a slice with borders')}{caption}</small></figcaption></figure>")
    parts += ["<h2>How it was measured</h2>", _paragraphs(content["conventions"])]
    head_ = f"<head><meta charset=utf-8><title>{_title(content)}</title><style>{CSS}</style></head>"
    return f"<!doctype html><html lang=en>{head_}<body>{''.join(parts)}</body></html>".encode()


def as_pdf(said: Document, pictures: Sequence[bytes]) -> bytes:
    """The same as PDF, A4; without a date of its own, so that the same validation gives the same bytes."""
    content, out = said.content, io.BytesIO()
    with mpl.rc_context(STYLE), PdfPages(out, metadata={"CreationDate": None}) as pdf:
        for page in _pages(content):
            pdf.savefig(_text_page(page))
        pdf.savefig(draw_agreement(content))
        if pictures:
            pdf.savefig(_gallery(content, pictures))
    return out.getvalue()


def tables(content: Mapping[str, Any]) -> list[Table]:
    """(title, head, rows) of every table of the report."""
    structures = [
        (name, measure, *_interval(found), str(found["patients"]), str(found["cases"]))
        for name, measures in content["figures"].items()
        for measure, found in measures.items()
    ]
    groups = [
        (group, which, name, *_interval(measures["dice"]), str(measures["dice"]["patients"]))
        for group, kinds in content["subgroups"].items()
        for which, figures in kinds.items()
        for name, measures in figures.items()
        if "dice" in measures
    ]
    volumes = [
        (name, str(found["patients"]), *_interval(found["bias"]), _number(found["lower"]), _number(found["upper"]))
        for name, found in content["agreement"].items()
    ]
    worse = [
        (kind, name, *_interval(found), str(found["cases"]))
        for kind, changes in content["robustness"].items()
        for name, found in changes.items()
    ]
    again = content["repeatability"]
    repeat: list[Row] = [(str(again["cases"]), str(again["voxels_differing"]), *_interval(again["dice_when_moved"]))]
    return [
        ("Per structure", ("structure", "measure", "mean", "95 %", "patients", "series"), structures),
        ("Subgroups: Dice", ("by", "", "structure", "mean", "95 %", "patients"), groups),
        (
            "Volumes and function: answer minus truth",
            ("quantity", "patients", "bias", "95 %", "lower", "upper"),
            volumes,
        ),
        ("Robustness: change of Dice", ("image", "structure", "mean", "95 %", "series"), worse),
        ("Repeatability", ("series", "voxels that differ", "Dice when moved by a pixel", "95 %"), repeat),
    ]


def draw_agreement(content: Mapping[str, Any]) -> Figure:
    """Bland-Altman plots, one per quantity."""
    found = content["agreement"]
    with mpl.rc_context(STYLE):
        rows = max(1, -(-len(found) // 3))
        figure = Figure(figsize=(8.27, 2.6 * rows), layout="constrained")
        for place, (name, one) in enumerate(found.items(), start=1):
            axes = figure.add_subplot(rows, 3, place)
            mine, theirs = zip(*one["points"], strict=True)
            means = [(a + b) / 2 for a, b in zip(mine, theirs, strict=True)]
            axes.plot(means, [a - b for a, b in zip(mine, theirs, strict=True)], "o", markersize=3)
            for level, style in ((one["bias"]["mean"], "-"), (one["lower"], "--"), (one["upper"], "--")):
                if level is not None:
                    axes.axhline(level, color=SOFT, linestyle=style, linewidth=0.9)
            axes.set_title(name.replace("_", " "), loc="left", fontsize=8)
            axes.set_xlabel("mean of both", fontsize=7)
            axes.set_ylabel("answer - truth", fontsize=7)
    return figure


def _gallery(content: Mapping[str, Any], pictures: Sequence[bytes]) -> Figure:
    from matplotlib.image import imread

    figure = Figure(figsize=(8.27, 6.2), layout="constrained")
    figure.suptitle("Worst cases. White: the expert. Colour: the model.", fontsize=9, color=INK)
    for place, (one, picture) in enumerate(zip(content["worst"], pictures, strict=True), start=1):
        axes = figure.add_subplot(2, 3, place)
        axes.imshow(imread(io.BytesIO(picture)))
        axes.set_axis_off()
        axes.set_title(f"Dice {one['dice']:.3f}", fontsize=7)
    return figure


def _pages(content: Mapping[str, Any]) -> Iterable[list[str]]:
    lines = [_title(content), "", *_opening(content)]
    for title, head, rows in tables(content):
        widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]
        lines += ["", title]
        lines += [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]
        ]
    lines += ["", "How it was measured", *content["conventions"]]
    wrapped = [piece for line in lines for piece in _wrapped(line)]
    for begin in range(0, len(wrapped), LINES_PER_PAGE):
        yield wrapped[begin : begin + LINES_PER_PAGE]


def _text_page(lines: Sequence[str]) -> Figure:
    figure = Figure(figsize=(8.27, 11.69))
    figure.text(0.06, 0.96, "\n".join(lines), va="top", family="DejaVu Sans Mono", fontsize=7.5, linespacing=1.6)
    return figure


def _wrapped(line: str, width: int = 104) -> list[str]:
    return [line[begin : begin + width] for begin in range(0, len(line), width)] or [""]


def _title(content: Mapping[str, Any]) -> str:
    model = content["model"]
    return f"Validation of {html.escape(model['name'])}@{model['version']}"


def _opening(content: Mapping[str, Any]) -> list[str]:
    model, dataset = content["model"], content["dataset"]
    seen = "None of them was learnt from." if model["learnt_from_known"] else "What the model learnt from is not known."
    return [
        f"Model {model['name']}@{model['version']}, digest {model['digest']}.",
        f"{dataset['patients']} patients, {dataset['series']} series of the split {dataset['split']} of project "
        f"{dataset['project']}, dataset {dataset['digest']}. {seen}",
        f"Made {content['created_at']}. The file signature.jws holds the hash of this file; "
        "irp models verify-report checks it offline.",
    ]


def _interval(found: Mapping[str, Any]) -> tuple[str, str]:
    known = found["low"] is not None
    return _number(found["mean"]), f"{_number(found['low'])} to {_number(found['high'])}" if known else "-"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _table(head: Row, rows: Iterable[Row]) -> str:
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{html.escape(cell)}</th>' for cell in head)}</tr>{body}</table>"


def _paragraphs(lines: Iterable[str]) -> str:
    return "".join(f"<p>{html.escape(line)}</p>" for line in lines)


def _image(png: bytes, words: str) -> str:
    return f'<img alt="{words}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'

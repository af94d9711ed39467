"""The heat-map as a picture: PNG for reports, SVG for print."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from scipy.cluster import hierarchy

from irp_radiomics.domain.heatmap import CLIP, Column, Heatmap

CELL_IN, ROW_IN, CLINICAL_IN = 0.205, 0.165, 0.26  # inches per feature, row and clinical column
MAX_IN = 40.0  # inches on a side; cells shrink beyond
DPI = 150
INK, SOFT, UNKNOWN = "#22282e", "#7b8794", "#e7eaee"
WORDS = ("#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#edc948", "#76b7b2", "#9c755f", "#ff9da7", "#86bcb6", "#8cd17d")
PATIENT = "patient"
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "svg.hashsalt": "irp",
    "text.color": INK,
    "axes.edgecolor": SOFT,
}


def draw(heatmap: Heatmap, form: str) -> bytes:
    """PNG or SVG bytes; the same heat-map gives the same bytes."""
    with mpl.rc_context(STYLE):
        figure = _figure(heatmap)
        out = io.BytesIO()
        # Without the date the picture is a function of its data.
        metadata = {"Date": None} if form == "svg" else {"Software": None}
        figure.savefig(out, format=form, dpi=DPI, facecolor="white", metadata=metadata)
    return out.getvalue()


def _figure(heatmap: Heatmap) -> Figure:
    columns = [_patients(heatmap), *heatmap.clinical]
    map_in = (min(MAX_IN, CELL_IN * len(heatmap.features)), min(MAX_IN, max(1.6, ROW_IN * len(heatmap.rows))))
    panel_in = CLINICAL_IN * len(columns)
    left, tree, gap, names, below, above = 0.25, 0.9, 0.12, 1.75, 2.35, 0.75
    width = left + tree + map_in[0] + gap + panel_in + names + 1.55
    height = below + map_in[1] + tree + above
    figure = Figure(figsize=(width, height))

    def place(x: float, y: float, w: float, h: float) -> Any:
        return figure.add_axes((x / width, y / height, w / width, h / height))

    x_map, x_panel = left + tree, left + tree + map_in[0] + gap
    _tree(place(x_map, below + map_in[1] + 0.03, map_in[0], tree), heatmap.feature_linkage, "top")
    _tree(place(left, below, tree - 0.03, map_in[1]), heatmap.row_linkage, "left")
    shown = _matrix(place(x_map, below, *map_in), heatmap)
    _panel(place(x_panel, below, panel_in, map_in[1]), heatmap, columns)
    x_right = x_panel + panel_in + names
    bar = place(x_right, below + max(0.0, map_in[1] - 1.9), 0.13, min(1.7, map_in[1]))
    _colour_bar(figure, bar, shown)
    _legend(figure, columns, (x_right - 0.05) / width, (below + map_in[1] - 2.25) / height)
    count = len({patient for patient, _ in heatmap.rows})
    figure.text(
        x_map / width,
        1 - 0.28 / height,
        "Radiomic features, clustered both ways",
        fontsize=12,
        weight="bold",
        va="center",
    )
    figure.text(
        x_map / width,
        1 - 0.52 / height,
        f"{len(heatmap.rows)} rows of {count} patients × {len(heatmap.features)} features; clinical values beside them",
        fontsize=8,
        color=SOFT,
        va="center",
    )
    return figure


def _tree(axes: Any, linkage: NDArray[np.float64], side: str) -> None:
    hierarchy.dendrogram(
        linkage, ax=axes, orientation=side, no_labels=True, color_threshold=0, above_threshold_color=SOFT
    )
    for line in axes.collections:
        line.set_linewidth(0.8)
    if side == "left":
        axes.invert_yaxis()
    axes.axis("off")


def _matrix(axes: Any, heatmap: Heatmap) -> Any:
    shown = axes.imshow(heatmap.z, aspect="auto", cmap="RdBu_r", vmin=-CLIP, vmax=CLIP, interpolation="nearest")
    axes.set_yticks([])
    axes.set_xticks(range(len(heatmap.features)), [short_name(n) for n in heatmap.features], rotation=90, fontsize=6.5)
    axes.tick_params(length=0, pad=3)
    _grid(axes, heatmap.z.shape)
    return shown


def _grid(axes: Any, shape: tuple[int, ...]) -> None:
    axes.set_xticks(np.arange(-0.5, shape[1]), minor=True)
    axes.set_yticks(np.arange(-0.5, shape[0]), minor=True)
    axes.grid(which="minor", color="white", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _patients(heatmap: Heatmap) -> Column:
    short = short_patients([patient for patient, _ in heatmap.rows])
    return Column(name=PATIENT, kind="category", values=[short[patient] for patient, _ in heatmap.rows])


def _panel(axes: Any, heatmap: Heatmap, columns: list[Column]) -> None:
    """Clinical columns, each on its own scale; what is unknown is pale."""
    colours = np.ones((len(heatmap.rows), len(columns), 3))
    for index, column in enumerate(columns):
        colours[:, index] = _colours(column)
    axes.imshow(colours, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(columns)), [_heading(column) for column in columns], rotation=90, fontsize=7)
    short = short_patients([patient for patient, _ in heatmap.rows])
    labels = [f"{roi.replace('_', ' ')}  ·  {short[patient]}" for patient, roi in heatmap.rows]
    axes.yaxis.tick_right()
    axes.set_yticks(range(len(labels)), labels, fontsize=6.5 if len(labels) <= 150 else 4)
    axes.tick_params(length=0, pad=3)
    _grid(axes, colours.shape[:2])


def _colours(column: Column) -> NDArray[np.float64]:
    unknown = mpl.colors.to_rgb(UNKNOWN)
    if column.kind == "category":
        words = _words(column)
        return np.array([unknown if v is None else mpl.colors.to_rgb(words[str(v)]) for v in column.values])
    known = [float(v) for v in column.values if v is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    scale = mpl.colormaps["viridis"]
    span = (high - low) or 1.0
    return np.array([unknown if v is None else scale((float(v) - low) / span)[:3] for v in column.values])


def _words(column: Column) -> dict[str, str]:
    words = sorted({str(v) for v in column.values if v is not None})
    return {word: WORDS[i % len(WORDS)] for i, word in enumerate(words)}


def _heading(column: Column) -> str:
    known = [float(v) for v in column.values if v is not None and column.kind == "number"]
    return f"{column.name}  [{min(known):.3g} – {max(known):.3g}]" if known else column.name


def _colour_bar(figure: Figure, axes: Any, shown: Any) -> None:
    bar = figure.colorbar(shown, cax=axes, ticks=[-CLIP, 0, CLIP])
    bar.set_label("z-score", fontsize=8)
    bar.outline.set_visible(False)
    axes.tick_params(labelsize=7, length=0)


def _legend(figure: Figure, columns: list[Column], x: float, y: float) -> None:
    """One block per worded column; a number's range stands in its heading."""
    height = figure.get_size_inches()[1]
    for column in columns:
        words = _words(column) if column.kind == "category" else {}
        if column.name == PATIENT or not words or len(words) > len(WORDS):
            continue
        patches = [Patch(facecolor=colour, label=word) for word, colour in words.items()]
        figure.legend(
            handles=patches, title=column.name, loc="upper left", bbox_to_anchor=(x, y), fontsize=7, title_fontsize=7.5,
            frameon=False, handlelength=1, handleheight=1, borderpad=0, alignment="left",
        )  # fmt: skip
        y -= (0.2 + 0.16 * len(words)) / height


def short_name(feature: str) -> str:
    """original_glcm_Contrast -> "glcm Contrast"; log-sigma-3-0-mm-3D_glcm_Contrast -> "LoG 3 mm · glcm Contrast"."""
    filter_name, family, name = feature.rsplit("_", 2)
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    found = re.match(r"log-sigma-(\d+)-(\d+)-mm", filter_name)
    mark = f"LoG {float(f'{found[1]}.{found[2]}'):g} mm · " if found else ""
    return _abbreviated(f"{mark}{family} {spaced}")


def _abbreviated(text: str) -> str:
    for long, short in (
        ("Gray Level", "GL"), ("Emphasis", "Emph"), ("Dependence", "Dep"), ("Normalized", "Norm"),
        ("Non Uniformity", "NonUnif"), ("Robust Mean Absolute Deviation", "rMAD"), ("Mean Absolute Deviation", "MAD"),
    ):  # fmt: skip
        text = text.replace(long, short)
    return text


def short_patients(patients: list[str]) -> dict[str, str]:
    """Pseudonym -> its shortest distinct beginning of at least six characters."""
    different = sorted(set(patients))
    longest = max((len(p) for p in different), default=0)
    for length in range(6, longest + 1):
        if len({p[:length] for p in different}) == len(different):
            return {p: p[:length] for p in different}
    return {p: p for p in different}

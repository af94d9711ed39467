"""Charts: how they look, and how they become files whose bytes depend on their content only."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import matplotlib as mpl
from cycler import cycler

mpl.use("Agg")
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from irp_training.domain.run import Metric
from irp_training.domain.watching.curves import ENDS

Form = Literal["png", "svg"]
DPI = 110
INK, SOFT = "#22282e", "#7b8794"
LINES = ("#0f766e", "#c2410c", "#6d28d9", "#a16207", "#b91c1c", "#1d4ed8")
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "svg.hashsalt": "irp",
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=LINES),
}
BANDS = (
    ("val_dice_", "Dice on validation slices, 95 % over patients"),
    ("val_hd95_mm_", "HD95 in the plane of a slice, mm"),
    ("val_assd_mm_", "mean surface distance, mm"),
)


def to_bytes(figure: Figure, form: Form) -> bytes:
    """PNG or SVG without a date."""
    out = io.BytesIO()
    with mpl.rc_context(STYLE):
        metadata = {"Date": None} if form == "svg" else {"Software": None}
        figure.savefig(out, format=form, dpi=DPI, facecolor="white", metadata=metadata)
    return out.getvalue()


def draw_curves(metrics: Sequence[Metric], form: Form) -> bytes:
    """A run's curves: losses; on validation slices Dice and distances of borders, with 95 % bands over patients."""
    with mpl.rc_context(STYLE):
        names = list(dict.fromkeys(metric.name for metric in metrics))
        panels = [(prefix, title) for prefix, title in BANDS if any(name.startswith(prefix) for name in names)]
        rows = -(-(1 + len(panels)) // 2)
        figure = Figure(figsize=(9.0, 3.4 * rows), layout="constrained")
        axes_of = [figure.add_subplot(rows, 2, place) for place in range(1, 2 + len(panels))]
        for name in (one for one in names if one.endswith("_loss")):
            axes_of[0].plot(*_line(metrics, name), label=name.removesuffix("_loss"), linewidth=1.4)
        for axes, (prefix, _) in zip(axes_of[1:], panels, strict=True):
            _draw_bands(axes, metrics, [name for name in names if name.startswith(prefix) and not is_end(name)], prefix)
        for axes, title in zip(axes_of, ("loss", *(title for _, title in panels)), strict=True):
            axes.set_title(title, loc="left", fontsize=9)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if axes.get_legend_handles_labels()[0]:
                axes.legend(frameon=False, fontsize=7)
    return to_bytes(figure, form)


def _draw_bands(axes: Axes, metrics: Sequence[Metric], names: Sequence[str], prefix: str) -> None:
    for name in names:
        (line,) = axes.plot(*_line(metrics, name), label=name.removeprefix(prefix).replace("_", " "), linewidth=1.4)
        epochs, low = _line(metrics, f"{name}_low")
        _, high = _line(metrics, f"{name}_high")
        axes.fill_between(epochs, low, high, color=line.get_color(), alpha=0.15, linewidth=0)


def is_end(name: str) -> bool:
    """True for the curve of an interval's end, which belongs to another curve."""
    return name.endswith(tuple(f"_{end}" for end in ENDS))


def _line(metrics: Iterable[Metric], name: str) -> tuple[list[int], list[float]]:
    points = sorted((metric.epoch, metric.value) for metric in metrics if metric.name == name)
    return [epoch for epoch, _ in points], [value for _, value in points]

"""The clustered heat-map: rows are patients' pieces, columns are features; clinical values stand beside them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster import hierarchy

mpl.use("Agg")
from matplotlib import pyplot as plt

CLIP = 3.0  # standard deviations


@dataclass(frozen=True, slots=True)
class Heatmap:
    """Standardised values in clustered order.

    Attributes:
        rows: (patient, piece) in order.
        features: names in order.
        z: (row, feature), clipped.
        clinical: name -> value per row, NaN where unknown.
        row_linkage, feature_linkage: of scipy's hierarchy, average linkage on Euclidean distance.
    """

    rows: list[tuple[str, str]]
    features: list[str]
    z: NDArray[np.float64]
    clinical: dict[str, list[float]]
    row_linkage: NDArray[np.float64]
    feature_linkage: NDArray[np.float64]

    def to_dict(self) -> dict[str, Any]:
        """For JSON; unknown numbers are null."""
        return {
            "rows": [{"patient": patient, "roi": roi} for patient, roi in self.rows],
            "features": self.features,
            "z": np.round(self.z, 4).tolist(),
            "clinical": {n: [None if np.isnan(x) else x for x in v] for n, v in self.clinical.items()},
            "row_linkage": self.row_linkage.tolist(),
            "feature_linkage": self.feature_linkage.tolist(),
            "method": "z-scores clipped at 3, average linkage, Euclidean distance",
        }


def build(table: pd.DataFrame, clinical: Mapping[str, Mapping[str, float]], wanted: int) -> Heatmap:
    """Cluster a tidy table.

    Args:
        table: columns patient, roi, feature, value.
        clinical: patient -> name -> value.
        wanted: how many features to show: those with the largest relative spread.
    """
    wide = table.pivot_table(index=["patient", "roi"], columns="feature", values="value").dropna(axis=1)
    spread = wide.std() / (wide.abs().mean() + 1e-12)
    wide = wide[spread.sort_values(ascending=False, kind="stable").index[:wanted]]
    deviation = wide.std().replace(0, np.nan)
    z = ((wide - wide.mean()) / deviation).fillna(0.0).clip(-CLIP, CLIP).to_numpy()
    row_linkage, feature_linkage = _linkage(z), _linkage(z.T)
    row_order, feature_order = _leaves(row_linkage, len(z)), _leaves(feature_linkage, z.shape[1])
    rows = [tuple(wide.index[i]) for i in row_order]
    names = sorted({name for values in clinical.values() for name in values})
    columns = {n: [float(clinical.get(patient, {}).get(n, np.nan)) for patient, _ in rows] for n in names}
    return Heatmap(
        rows=rows,
        features=[str(wide.columns[i]) for i in feature_order],
        z=z[np.ix_(row_order, feature_order)],
        clinical=columns,
        row_linkage=row_linkage,
        feature_linkage=feature_linkage,
    )


def draw(heatmap: Heatmap, form: str) -> bytes:
    """PNG or SVG."""
    rows, columns = heatmap.z.shape
    height = min(16.0, max(4.0, 0.16 * rows + 3.0))
    figure = plt.figure(figsize=(13, height), layout="constrained")
    grid = figure.add_gridspec(
        2, 4, width_ratios=(1, 8, 0.35 * max(1, len(heatmap.clinical)), 0.18), height_ratios=(1, 6)
    )
    _dendrogram(figure.add_subplot(grid[0, 1]), heatmap.feature_linkage, "top")
    _dendrogram(figure.add_subplot(grid[1, 0]), heatmap.row_linkage, "left")
    axes = figure.add_subplot(grid[1, 1])
    shown = axes.imshow(heatmap.z, aspect="auto", cmap="RdBu_r", vmin=-CLIP, vmax=CLIP, interpolation="nearest")
    axes.set_xticks(range(columns), [_short(name) for name in heatmap.features], rotation=90, fontsize=6)
    axes.set_yticks([])
    _clinical(figure.add_subplot(grid[1, 2]), heatmap)
    figure.colorbar(shown, cax=figure.add_subplot(grid[1, 3]), label="z-score")
    figure.suptitle("Features of the myocardium, clustered; clinical values beside them", fontsize=12)
    out = io.BytesIO()
    figure.savefig(out, format=form, dpi=130)
    plt.close(figure)
    return out.getvalue()


def _dendrogram(axes: Any, linkage: NDArray[np.float64], side: str) -> None:
    if len(linkage):
        hierarchy.dendrogram(
            linkage, ax=axes, orientation=side, no_labels=True, color_threshold=0, above_threshold_color="#555"
        )
        if side == "left":
            axes.invert_yaxis()
    axes.axis("off")


def _clinical(axes: Any, heatmap: Heatmap) -> None:
    patients = [patient for patient, _ in heatmap.rows]
    names = list(heatmap.clinical) or ["no clinical values"]
    values = np.array([heatmap.clinical.get(n, [np.nan] * len(patients)) for n in names], dtype=float).T
    low, high = _range(values)
    axes.imshow((values - low) / (high - low), aspect="auto", cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    labels = [f"{patient[-4:]} {roi}" for patient, roi in heatmap.rows]
    axes.yaxis.tick_right()
    axes.set_yticks(range(len(labels)), labels, fontsize=5 if len(labels) > 40 else 7)


def _range(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    known = np.where(np.isnan(values), np.nan, values)
    with np.errstate(all="ignore"):
        low = np.array([np.nanmin(c) if np.isfinite(c).any() else 0.0 for c in known.T])
        high = np.array([np.nanmax(c) if np.isfinite(c).any() else 1.0 for c in known.T])
    return low, np.where(high > low, high, low + 1.0)


def _linkage(points: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(points) < 2:
        return np.empty((0, 4))
    return np.asarray(hierarchy.linkage(points, method="average"))


def _leaves(linkage: NDArray[np.float64], count: int) -> Sequence[int]:
    return list(hierarchy.leaves_list(linkage)) if len(linkage) else list(range(count))


def _short(name: str) -> str:
    return name.replace("original_", "").replace("log-sigma-", "LoG ").replace("-mm-3D", " mm").replace("_", " ")[:42]

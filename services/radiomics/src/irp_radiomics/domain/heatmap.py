"""The clustered heat-map: rows are regions or patients, columns are features; clinical values stand beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster import hierarchy

from irp_radiomics.domain.errors import TooFewRows

CLIP = 3.0  # standard deviations shown; the JSON says the same
REDUNDANT = 0.95  # |Pearson correlation| from which a feature repeats one that is already chosen
MAX_CANDIDATES = 400  # features compared for redundancy
PATIENT_ROWS_FROM = 13  # patients; from here on a row is a patient's whole myocardium, for regions would be unreadable
WHOLE = "lv_myocardium"
METHOD = "z-score per feature clipped at 3; average linkage on Euclidean distance, optimal leaf order"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One clinical column: kind "number" or "category", a value or None per row in clustered order."""

    name: str
    kind: str
    values: list[float | str | None]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Heatmap:
    """Standardised values in clustered order.

    Attributes:
        rows: (patient, region) in order.
        features: names in order.
        z: (row, feature), clipped.
        clinical: columns that stand beside it.
        row_linkage, feature_linkage: as scipy's hierarchy gives them, on the unclustered order.
        row_order, feature_order: leaves of the linkages: clustered position -> unclustered index.
    """

    rows: list[tuple[str, str]]
    features: list[str]
    z: NDArray[np.float64]
    clinical: list[Column]
    row_linkage: NDArray[np.float64]
    feature_linkage: NDArray[np.float64]
    row_order: list[int]
    feature_order: list[int]

    def to_dict(self) -> dict[str, Any]:
        """For JSON; unknown values are null."""
        return {
            "rows": [{"patient": patient, "roi": roi} for patient, roi in self.rows],
            "features": self.features,
            "z": np.round(self.z, 4).tolist(),
            "clinical": [{"name": c.name, "kind": c.kind, "values": c.values} for c in self.clinical],
            "row_order": self.row_order,
            "feature_order": self.feature_order,
            "row_linkage": self.row_linkage.tolist(),
            "feature_linkage": self.feature_linkage.tolist(),
            "method": METHOD,
        }


def build(
    table: pd.DataFrame,
    numbers: Mapping[str, Mapping[str, float]],
    categories: Mapping[str, Mapping[str, str]],
    wanted: int,
) -> Heatmap:
    """Cluster a tidy table.

    Args:
        table: columns patient, series_uid, roi_kind, roi, feature, value.
        numbers: patient -> name -> value.
        categories: patient -> name -> word.
        wanted: how many features to show, see `choose_features`.

    Raises:
        TooFewRows: fewer than two rows or features are left.
    """
    wide = choose_features(_wide(table), wanted)
    if len(wide) < 2 or wide.shape[1] < 2:
        raise TooFewRows(rows=len(wide), features=wide.shape[1])
    z = ((wide - wide.mean()) / wide.std()).clip(-CLIP, CLIP).to_numpy(dtype=np.float64)
    by_row, by_feature = _linkage(z), _linkage(z.T)
    row_order = [int(i) for i in hierarchy.leaves_list(by_row)]
    feature_order = [int(i) for i in hierarchy.leaves_list(by_feature)]
    rows = [(str(wide.index[i][0]), str(wide.index[i][1])) for i in row_order]
    return Heatmap(
        rows=rows,
        features=[str(wide.columns[i]) for i in feature_order],
        z=z[np.ix_(row_order, feature_order)],
        clinical=_clinical([patient for patient, _ in rows], numbers, categories),
        row_linkage=by_row,
        feature_linkage=by_feature,
        row_order=row_order,
        feature_order=feature_order,
    )


def choose_features(wide: pd.DataFrame, wanted: int) -> pd.DataFrame:
    """At most `wanted` columns: complete, largest spread relative to their size first, none that repeats another.

    Spread: standard deviation over the median of the absolute values, so that units do not decide.
    """
    complete = wide.dropna(axis=1)
    deviation = complete.std()
    size = complete.abs().median().where(lambda s: s > 0, complete.abs().mean())
    varied = deviation[(deviation > 1e-12 * size) & (size > 0)].index
    order = (deviation[varied] / size[varied]).sort_values(ascending=False, kind="stable").index[:MAX_CANDIDATES]
    values = complete[order].to_numpy(dtype=np.float64)
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    chosen: list[int] = []
    for candidate in range(values.shape[1]):
        if len(chosen) == wanted:
            break
        correlation = np.abs(values[:, chosen].T @ values[:, candidate]) / len(values)
        if not (correlation > REDUNDANT).any():
            chosen.append(candidate)
    return complete[[order[i] for i in chosen]]


def _wide(table: pd.DataFrame) -> pd.DataFrame:
    """Rows (patient, region): pieces of the wall, or whole structures where there are none or too many patients."""
    pieces = table[table["roi_kind"] != "structure"]
    many = table["patient"].nunique() >= PATIENT_ROWS_FROM
    if many or pieces.empty:
        whole = table[table["roi"] == WHOLE]
        pieces = whole if not whole.empty else table
    return pieces.pivot_table(index=["patient", "roi"], columns="feature", values="value", aggfunc="mean")


def _clinical(
    patients: list[str], numbers: Mapping[str, Mapping[str, float]], categories: Mapping[str, Mapping[str, str]]
) -> list[Column]:
    present = set(patients)
    numeric = sorted({name for p in present for name in numbers.get(p, {})})
    worded = sorted({name for p in present for name in categories.get(p, {})})
    columns = [
        Column(name=name, kind="number", values=[_number(numbers.get(p, {}).get(name)) for p in patients])
        for name in numeric
    ]
    return columns + [
        Column(name=name, kind="category", values=[categories.get(p, {}).get(name) for p in patients])
        for name in worded
    ]


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _linkage(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(hierarchy.linkage(points, method="average", optimal_ordering=len(points) <= 500))

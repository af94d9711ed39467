"""Methods without a model across the slices of real hearts: Dice from marks on one slice.

    python benchmarks/bench_across_slices.py FOLDER           # holds acdc_cine and emidec_lge, see models/README.md

*Cine*: the blood pool at the frame where it is largest, in the slices that the expert drew. On the slice where it is
largest a reader clicks into its middle and scribbles over the wall around it; for every other slice nothing is marked.
`--choose` runs the training patients, on which constants may be chosen; without it the test patients.

*Late enhancement*: scar with no-reflow inside the expert's myocardium, of the patients that have an infarct. Remote
myocardium is marked on one slice, the brightest pixel of the infarct for FWHM; beside it the same method slice by
slice with marks on each. JSON goes to out/bench/across-slices.json.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from bench_house import keep
from irp_inference.domain.algorithms.marks import Click, Marks, Region, Scribble
from irp_inference.domain.algorithms.stack import Stack, StackMarks
from irp_inference.domain.algorithms.table import method, method_across
from irp_kernel.errors import IrpError
from irp_kernel.mask import LV_BLOOD_POOL, LV_MYOCARDIUM, NO_REFLOW, SCAR
from learners import Heart, hearts
from numpy.typing import NDArray
from scipy import ndimage

LEAST_REMOTE, MOST_REMOTE = 5, 30  # pixels of remote myocardium that a reader scribbles over
Found = dict[str, list[float]]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--choose", action="store_true", help="the training patients instead of the test patients")
    parser.add_argument("--beta", type=float, nargs="*", default=[], help="further values of the random walker's beta")
    parser.add_argument("--most", type=int, default=20, help="patients of the cine")
    options = parser.parse_args()
    part = "training" if options.choose else "test"
    cine: Found = defaultdict(list)
    for heart in _some(hearts("cine", options.folder), part, options.most):
        for name, value in of_a_cine(heart, options.beta):
            cine[name].append(value)
    scars: Found = defaultdict(list)
    for heart in hearts("lge", options.folder) if not options.choose else ():
        for name, value in of_an_infarct(heart):
            scars[name].append(value)
    said = {"cine": _table(cine), "lge": _table(scars)}
    keep(f"across-slices-{part}", said)
    for what, rows in said.items():
        for name, row in rows.items():
            print(f"{what:5} {name:44} {row}")


def of_a_cine(heart: Heart, betas: list[float]) -> Iterator[tuple[str, float]]:
    """Name and Dice (or seconds) of each method for one patient."""
    pools = heart.mask.labels == LV_BLOOD_POOL
    frame = int(pools.sum(axis=(1, 2, 3)).argmax())
    drawn = np.flatnonzero(pools[frame].any(axis=(1, 2)))
    part = slice(int(drawn[0]), int(drawn[-1]) + 1)
    pool, wall = pools[frame, part], heart.mask.labels[frame, part] == LV_MYOCARDIUM
    best = int(pool.sum(axis=(1, 2)).argmax())
    marks = _marked(pool[best], wall[best])
    image = np.ascontiguousarray(heart.volume.array[frame, part])
    asked: list[tuple[str, dict[str, Any]]] = [("region-growing", {}), ("random-walker", {})]
    asked += [("random-walker", {"beta": beta}) for beta in betas]
    for name, parameters in asked:
        title = " ".join([name, *(f"{key}={value:g}" for key, value in parameters.items())])
        began = time.process_time()
        try:
            found = _across(name, parameters, heart, image, {best: marks}, None)
        except IrpError as error:
            yield f"{title}: {error.reason}", 1.0
            continue
        yield f"{title}: seconds", time.process_time() - began
        yield f"{title}: every slice", _dice(found, pool)
        yield f"{title}: the marked slice", _dice(found[best], pool[best])
        yield f"{title}: alone in that slice", _dice(method(name, parameters)(image[best], marks, None), pool[best])


def of_an_infarct(heart: Heart) -> Iterator[tuple[str, float]]:
    """Name and Dice of each method for one patient with an infarct; nothing for others."""
    labels = heart.mask.labels[0]
    scar, wall = np.isin(labels, (SCAR, NO_REFLOW)), np.isin(labels, (LV_MYOCARDIUM, SCAR, NO_REFLOW))
    if not scar.any():
        return
    image = np.ascontiguousarray(heart.volume.array[0])
    best = int(scar.sum(axis=(1, 2)).argmax())
    for name, parameters, with_remote in (("n-sd", {"n": 5}, True), ("fwhm", {}, True), ("fwhm", {}, False)):
        title = f"{name}{'' if with_remote else ' without remote marks'}"
        marks = {
            at: _of_scar(image[at], scar[at], wall[at], name, with_remote) for at in np.flatnonzero(wall.any((1, 2)))
        }
        # where nearly all of the wall is scar there is no remote myocardium to mark
        marks = {at: one for at, one in marks.items() if not with_remote or len(one.clicks) > LEAST_REMOTE}
        usable = {at: one for at, one in marks.items() if scar[at].any()}
        if best not in usable:
            continue
        alone = np.zeros_like(scar)
        for at, one in usable.items():
            alone[at] = method(name, parameters)(image[at], one, wall[at])
        yield f"{title}: slice by slice, marks on each with scar", _dice(alone, scar)
        yield (
            f"{title}: across slices, marks on one",
            _dice(_across(name, parameters, heart, image, {best: marks[best]}, wall), scar),
        )
        yield (
            f"{title}: across slices, marks on each with scar",
            _dice(_across(name, parameters, heart, image, usable, wall), scar),
        )


def _across(
    name: str,
    parameters: dict[str, Any],
    heart: Heart,
    image: NDArray[np.float32],
    marks: Mapping[int, Marks],
    within: Region | None,
) -> Region:
    stack = Stack(image=image, spacing_mm=heart.volume.geometry.spacing_mm, going=lambda: None)
    return method_across(name, parameters).across(stack, StackMarks(marks), within)


def _marked(pool: Region, wall: Region) -> Marks:
    """A click into the middle of the pool, and a closed line through the middle of its wall, as far as it was drawn."""
    row, column = np.unravel_index(int(ndimage.distance_transform_edt(pool).argmax()), pool.shape)
    deep = ndimage.distance_transform_edt(wall)
    points = []
    for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False):
        ray = [(round(row + r * np.sin(angle)), round(column + r * np.cos(angle))) for r in range(1, 80)]
        within = [(deep[at], at) for at in ray if min(at) >= 0 and at[0] < wall.shape[0] and at[1] < wall.shape[1]]
        depth, at = max(within)
        if depth > 0:
            points.append((float(at[0]), float(at[1])))
    return Marks(
        clicks=[Click(row=float(row), column=float(column))],
        scribbles=[Scribble(points=(*points, points[0]), inside=False)],
    )


def _of_scar(image: NDArray[np.float32], scar: Region, wall: Region, name: str, with_remote: bool) -> Marks:
    """Remote myocardium as far from scar as there is; for FWHM the brightest pixel of the scar, too."""
    clicks = []
    if with_remote:
        far = np.where(wall & ~scar, ndimage.distance_transform_edt(~scar) if scar.any() else 1.0, 0.0)
        places = np.argsort(far, axis=None)[::-1][:MOST_REMOTE]
        clicks = [
            Click(row=float(row), column=float(column), inside=False)
            for row, column in zip(*np.unravel_index(places, far.shape), strict=True)
            if far[row, column] > 0
        ]
    if name == "fwhm" and with_remote and scar.any():
        row, column = np.unravel_index(int(np.where(scar, image, -np.inf).argmax()), scar.shape)
        clicks.append(Click(row=float(row), column=float(column)))
    return Marks(clicks=clicks)


def _some(found: Iterator[Heart], part: str, most: int) -> Iterator[Heart]:
    taken = 0
    for heart in found:
        if heart.part == part and taken < most:
            taken += 1
            yield heart


def _dice(one: Region, two: Region) -> float:
    return float(2 * (one & two).sum() / max(int(one.sum() + two.sum()), 1))


def _table(found: Found) -> dict[str, dict[str, float]]:
    return {
        name: {
            "n": len(values),
            "mean": round(float(np.mean(values)), 3),
            "median": round(float(np.median(values)), 3),
            "least": round(min(values), 3),
        }
        for name, values in found.items()
    }


if __name__ == "__main__":
    main()

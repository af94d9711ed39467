"""How much of a model few labels give: single slices spread over every patient, beside as many slices in whole cases.

Two ways to spend the same number of labelled slices: `slices` draws them at random over all training patients, the rest
of each series is unknown; `cases` labels patient after patient wholly until the number is reached. Both are learnt with
as many steps as all labels get, and judged on the patients that are held out (scripts/cohorts.py), whole pipeline, all
slices. Seeds draw labels and weights. `--after` learns another collection first, from nothing and with all its labels,
and every run goes on from there, for the structures that both have. Needs the collections of models/README.md:

    python benchmarks/bench_sparse_labels.py --data FOLDER --collection cine --minutes 600
    python benchmarks/bench_sparse_labels.py --data FOLDER --small --after lge --minutes 120   # narrow, begun elsewhere
    python benchmarks/bench_sparse_labels.py --data FOLDER --quick                 # tiny, to see that it works

Hours on two cores; call again to go on. JSON, and a picture, go to out/bench/sparse_labels-COLLECTION.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bench_house import KEPT
from irp_kernel import sha256_of
from irp_training.domain.learning.plan import CaseFile
from learners import SMALL, Diary, Heart, hearts, interval, judged_only, learn, note, options, patients_of, size_of
from numpy.typing import NDArray

SHARES = (1, 2, 5, 10, 25, 100)  # percent of the labelled slices
WAYS = ("slices", "cases")
SEEDS = (1, 2, 3)
BATCH = 12  # slices per step
BEFORE = 100  # passes over the collection that is learnt first
STRUCTURES = {"cine": ["lv_blood_pool", "lv_myocardium", "rv_blood_pool"], "lge": ["lv_blood_pool", "lv_myocardium"]}
TINY = {"locate_channels": [4, 8], "segment_channels": [4, 8], "segment_size": 64}
Pairs = dict[str, NDArray[np.bool_]]  # patient -> (frame, slice) that somebody labelled


def chosen(pupils: list[Heart], way: str, share: int, seed: int) -> Pairs:
    """Labelled (frame, slice) pairs; a larger share of the same way and seed holds the smaller one."""
    random = np.random.default_rng(seed)
    places = {heart.name: np.argwhere(heart.mask.annotated.any(axis=2)) for heart in pupils}
    order = [(name, *place) for name in random.permutation(sorted(places)) for place in places[name].tolist()]
    number = max(1, round(len(order) * share / 100))
    if way == "slices":
        order = [order[index] for index in random.permutation(len(order))]
    found: Pairs = {heart.name: np.zeros(heart.mask.annotated.shape[:2], dtype=np.bool_) for heart in pupils}
    for name, frame, place in order[:number]:
        found[name][frame, place] = True
    return found


def files_of(everyone: list[Heart], pairs: Pairs) -> list[CaseFile]:
    """What was labelled teaches, and who is held out judges."""
    files = []
    for heart in everyone:
        if heart.part != "training":
            files.append(heart.file(part="test"))
        elif (known := pairs.get(heart.name)) is not None and known.any():
            files.append(heart.file(judged_only(heart.mask, known)))
    return files


def begun_with(asked: argparse.Namespace, recipe: dict[str, Any]) -> bytes:
    """The bundle that runs go on from; empty = they begin from nothing."""
    if asked.base:
        return bytes(asked.base.read_bytes())
    if not asked.after:
        return b""
    if not asked.quick:
        recipe |= {"locate_epochs": BEFORE // 3, "segment_epochs": BEFORE, "min_steps": 8, "seed": SEEDS[0]}
    file = KEPT / f"begun-{asked.after}-{sha256_of(json.dumps(recipe, sort_keys=True).encode())[:8]}.zip"
    if not file.is_file():
        note(f"learning {asked.after} first; kept in {file}")
        files = [heart.file() for heart in hearts(asked.after, asked.data) if heart.part == "training"]
        KEPT.mkdir(parents=True, exist_ok=True)
        file.write_bytes(learn(files, recipe, device=asked.device).bundle)
    return file.read_bytes()


def one_run(key: str, everyone: list[Heart], recipe: dict[str, Any], device: str, base: bytes) -> dict[str, Any]:
    """Dice per structure and held-out patient, and that of what it began with."""
    way, share, seed = key.split()
    pupils = [heart for heart in everyone if heart.part == "training"]
    pairs = chosen(pupils, way, int(share.removesuffix("%")), int(seed))
    outcome = learn(files_of(everyone, pairs), {**recipe, "seed": int(seed)}, device=device, base=base)
    labelled = [int(known.sum()) for known in pairs.values() if known.any()]
    found = {"slices": sum(labelled), "patients": len(labelled), "dice": by_structure(outcome.cases, "after")}
    return found | ({"dice_of_base": by_structure(outcome.cases, "before")} if base else {})


def by_structure(cases: Sequence[Mapping[str, Any]], when: str) -> dict[str, dict[str, float]]:
    """Structure -> patient -> Dice, "before" or "after" the run."""
    found: dict[str, dict[str, float]] = {}
    for case in cases:
        for structure, value in case[when].items():
            found.setdefault(structure, {})[case["patient"]] = value
    return found


def summary(runs: dict[str, dict[str, Any]], patients: list[str]) -> list[dict[str, Any]]:
    """Per way, share and structure: Dice, and what is missing to all labels in pairs, over seeds and patients."""
    rows = []
    for way, share in ((way, share) for way in WAYS for share in SHARES):
        mine = [runs[key] for seed in SEEDS if (key := key_of(way, share, seed)) in runs]
        whole = [runs[key] for seed in SEEDS if (key := key_of(way, 100, seed)) in runs]
        for structure in mine[0]["dice"] if mine else ():
            row = {"way": way, "share": share, "structure": structure, "seeds": len(mine), "slices": mine[0]["slices"]}
            found = as_table(mine, structure, patients)
            row |= {"patients": float(np.mean([one["patients"] for one in mine])), "dice": interval(found)}
            if len(whole) == len(mine):
                best = as_table(whole, structure, patients)
                row["behind"] = interval(best - found)
                row["of_whole"] = float(np.nanmean(found) / np.nanmean(best)) if np.nanmean(best) > 0 else None
            rows.append(row)
    return rows


def as_table(runs: list[dict[str, Any]], structure: str, patients: list[str]) -> NDArray[np.float64]:
    """(seed, patient); NaN where nobody judged the structure."""
    return np.array([[run["dice"].get(structure, {}).get(name, np.nan) for name in patients] for run in runs])


def key_of(way: str, share: int, seed: int) -> str:
    """All labels are the same in both ways."""
    return f"{'slices' if share == 100 else way} {share}% {seed}"


def show(rows: list[dict[str, Any]]) -> None:
    """A table in words."""
    for row in rows:
        dice, behind = row["dice"], row.get("behind")
        lacks = (
            f"  behind all labels {behind['mean']:.3f} ({behind['low']:.3f} to {behind['high']:.3f})" if behind else ""
        )
        print(
            f"{row['structure']:14} {row['way']:6} {row['share']:3}%  {row['slices']:4} slices, {row['patients']:4.1f} "
            f"patients  Dice {dice['mean']:.3f} ({dice['low']:.3f} to {dice['high']:.3f}){lacks}"
        )


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """The two curves of every structure, with intervals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = sorted({row["structure"] for row in rows})
    figure, axes = pyplot.subplots(1, len(names), figsize=(4 * len(names), 3.4), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        for way in WAYS:
            mine = [row for row in rows if (row["structure"], row["way"]) == (name, way)]
            means = [row["dice"]["mean"] for row in mine]
            ends = [[m - row["dice"]["low"], row["dice"]["high"] - m] for m, row in zip(means, mine, strict=True)]
            axis.errorbar([row["share"] for row in mine], means, np.abs(np.array(ends)).T, label=way, capsize=3)
        axis.set(
            xscale="log", xticks=SHARES, xticklabels=SHARES, xlabel="labelled slices, %", title=name, ylabel="Dice"
        )
        axis.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=120)


def recipe_of(asked: argparse.Namespace, everyone: list[Heart]) -> dict[str, Any]:
    """What every run learns by."""
    slices = sum(int(heart.mask.annotated.any(axis=2).sum()) for heart in everyone if heart.part == "training")
    shared = [name for name in STRUCTURES[asked.collection] if name in STRUCTURES[asked.after or asked.collection]]
    recipe: dict[str, Any] = {
        "stages": ["locate", "segment"],
        "structures": shared,
        "locate_epochs": max(1, asked.passes // 3),
        "segment_epochs": asked.passes,
        "batch": BATCH,
        # As many steps for few labels as for all: what differs is what was labelled, not how long it was looked at.
        "min_steps": slices // BATCH,
        "threads": asked.threads,
    }
    return recipe | SMALL if asked.small else recipe


def main() -> None:
    """Run and print."""
    parser = options(__doc__)
    parser.add_argument("--passes", type=int, default=24, help="of stage 2; stage 1 takes a third")
    parser.add_argument("--after", choices=sorted(STRUCTURES), default="", help="begin with what this one teaches")
    asked = parser.parse_args()
    if asked.base and asked.after:
        parser.error("runs begin with --base or after another collection, not with both")
    everyone = patients_of(asked)
    if not everyone:
        return
    recipe = recipe_of(asked, everyone)
    seeds, shares = SEEDS, SHARES
    if asked.quick:
        everyone = [h for h in everyone if h.part == "training"][:6] + [h for h in everyone if h.part == "test"][:3]
        recipe |= TINY | {"locate_epochs": 1, "segment_epochs": 1, "min_steps": 2, "batch": 2}
        seeds, shares = SEEDS[:1], (10, 100)
    base = begun_with(asked, dict(recipe))
    name = f"sparse_labels-{asked.collection}{size_of(asked)}" + (f"-after-{asked.after}" if asked.after else "")
    settings = {"recipe": recipe, "base": sha256_of(base) if base else "", "device": asked.device}
    diary = Diary(name, settings, asked.minutes)
    keys = list(dict.fromkeys(key_of(way, share, seed) for seed in seeds for share in reversed(shares) for way in WAYS))
    diary.go_through(keys, lambda key: one_run(key, everyone, recipe, asked.device, base))
    rows = summary(diary.runs, [heart.name for heart in everyone if heart.part != "training"])
    diary.keep(summary=rows)
    show(rows)
    for structure, dice in next(iter(diary.runs.values()), {}).get("dice_of_base", {}).items():
        print(f"{structure:14} before any of them: Dice {np.mean(list(dice.values())):.3f}")
    if rows:
        draw(rows, KEPT / f"{name}.png")


if __name__ == "__main__":
    main()

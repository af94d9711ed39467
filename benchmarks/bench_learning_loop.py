"""What the loop is worth: masks are accepted, a model learns, it proposes, an expert corrects, round by round.

Each round brings a few new patients. The champion proposes masks for them, and the "expert" makes each proposal the
collection's own mask: the voxels that he changes are counted. What is accepted is learnt from (all of it, from the
champion on); the candidate becomes champion if the training server's gate lets it, on patients who are `validation`.
Each round's champion also proposes for the patients of `test`, who never come to the expert: the same patients in every
round, so that easy and difficult ones do not blur the curve. In round 0 there is no model, but for `--base`: everything
is drawn. A proposal that is worse than none counts as such: more than 100 % of what is drawn.

    python benchmarks/bench_learning_loop.py --data FOLDER --collection lge --base models/cine.zip --minutes 300
    python benchmarks/bench_learning_loop.py --data FOLDER --collection lge --small --minutes 120  # from nothing
    python benchmarks/bench_learning_loop.py --data FOLDER --quick     # tiny, to see that it works

The base must have seen none of these patients: the shipped `cine` has learnt from those of `--collection cine`. Seeds
draw the order of patients and the weights. Call again to go on. JSON, and a picture, go to
out/bench/learning_loop-COLLECTION.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from bench_house import KEPT
from irp_bundle import Pipeline, TorchEngine, read_bundle
from irp_training.domain.judging.gate import judge
from irp_training.domain.judging.scores import as_model_sees, score_case
from learners import SMALL, Diary, Heart, interval, learn, options, patients_of, size_of, to_correct

SEEDS = (1, 2, 3)
PER_ROUND = 4  # new patients
MARGIN = 0.01  # of the gate, as runs have it
STRUCTURES = {"cine": ["lv_blood_pool", "lv_myocardium", "rv_blood_pool"], "lge": ["lv_blood_pool", "lv_myocardium"]}
TINY = {"locate_channels": [4, 8], "segment_channels": [4, 8], "segment_size": 64, "batch": 2}


class Loop:
    """One project's life per seed; champions are kept as files, so that it goes on where it was ended."""

    def __init__(self, everyone: list[Heart], asked: argparse.Namespace, name: str) -> None:
        self._asked, self._folder = asked, KEPT / name
        self._of = {part: [h for h in everyone if h.part == part] for part in ("training", "validation", "test")}
        self.rounds = -(-len(self._of["training"]) // asked.per_round)
        self._folder.mkdir(parents=True, exist_ok=True)

    def one_round(self, key: str) -> dict[str, Any]:
        """What the champion of before costs the expert, and the champion that comes of it."""
        seed, number = (int(word) for word in key.split())
        pupils = self._of["training"]
        order = [pupils[place] for place in np.random.default_rng(seed).permutation(len(pupils))]
        known = number * self._asked.per_round
        champion = self._champion(seed, number)
        result: dict[str, Any] = {
            "accepted": known,
            "new": self._costs(champion, order[known : known + self._asked.per_round]),
            "panel": self._costs(champion, self._of["test"]),
        }
        accepted = order[: known + self._asked.per_round]
        candidate, result["gate"] = self._learn(champion, accepted, seed)
        result["promoted"] = candidate != champion
        (self._folder / f"{seed}-{number + 1}.zip").write_bytes(candidate)
        return result

    def _champion(self, seed: int, number: int) -> bytes:
        if number:
            return (self._folder / f"{seed}-{number}.zip").read_bytes()
        return self._asked.base.read_bytes() if self._asked.base else b""

    def _costs(self, champion: bytes, hearts: list[Heart]) -> dict[str, dict[str, int]]:
        """Patient -> voxels and slices that the expert corrects, and voxels that he would draw without a proposal."""
        costs = {}
        for heart in hearts:
            truth = as_model_sees(heart.mask, tuple(STRUCTURES[self._asked.collection]))
            if champion:
                found, _ = self._pipeline(champion).run(heart.volume)
                voxels, slices, drawn = to_correct(found, truth)
            else:
                voxels = drawn = int((truth.labels > 0).sum())
                slices = int((truth.labels > 0).any(axis=(2, 3)).sum())
            costs[heart.name] = {"voxels": voxels, "slices": slices, "drawn": drawn}
        return costs

    def _learn(self, champion: bytes, accepted: list[Heart], seed: int) -> tuple[bytes, str]:
        """The next champion, and what the gate said."""
        judges = self._of["validation"]
        recipe = self._recipe(bool(champion)) | {"seed": seed}
        files = [heart.file() for heart in accepted + judges]
        outcome = learn(files, recipe, device=self._asked.device, base=champion)
        before = self._scores(champion, judges) if champion else None
        names = tuple(STRUCTURES[self._asked.collection])
        after = self._scores(outcome.bundle, judges)
        said = judge(after, before, margin=MARGIN, dataset="", structures=names, way="auto")
        return (outcome.bundle if said.passed else champion), said.reason

    def _scores(self, model: bytes, judges: list[Heart]) -> dict[str, dict[str, float]]:
        pipeline = self._pipeline(model)
        return {heart.name: score_case(pipeline, heart.volume, heart.mask) for heart in judges}

    def _pipeline(self, model: bytes) -> Pipeline:
        bundle = read_bundle(model)
        return Pipeline(bundle, TorchEngine(bundle, self._asked.device))

    def _recipe(self, fine_tuning: bool) -> dict[str, Any]:
        recipe: dict[str, Any] = {
            "structures": STRUCTURES[self._asked.collection],
            "stages": ["locate", "segment"],
            "threads": self._asked.threads,
            "locate_epochs": 4 if fine_tuning else 12,
            "segment_epochs": 12 if fine_tuning else 36,
        }
        if self._asked.small and not fine_tuning:
            recipe |= SMALL
        if self._asked.quick:
            recipe |= {"locate_epochs": 1, "segment_epochs": 1, "min_steps": 2}
            recipe |= {"batch": 2} if fine_tuning else TINY
        return recipe


def summary(runs: dict[str, dict[str, Any]], rounds: int) -> list[dict[str, Any]]:
    """Per round: corrected voxels, per case and per drawn voxel, on the same patients and on those who came."""
    rows = []
    for number in range(rounds):
        mine = [runs[key] for seed in SEEDS if (key := f"{seed} {number}") in runs]
        if not mine:
            continue
        row: dict[str, Any] = {"round": number, "accepted": mine[0]["accepted"], "seeds": len(mine)}
        row["promoted"] = sum(one["promoted"] for one in mine)
        for who in ("panel", "new"):
            cases = [list(one[who].values()) for one in mine]
            short = min(len(one) for one in cases)  # who came last may be fewer
            for what in ("voxels", "slices"):
                row[f"{who}_{what}"] = interval(
                    np.array([[c[what] for c in one[:short]] for one in cases], dtype=float)
                )
            shares = [[c["voxels"] / max(1, c["drawn"]) for c in one[:short]] for one in cases]
            row[f"{who}_share"] = interval(np.array(shares))
        rows.append(row)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """A table in words."""
    for row in rows:
        panel, share, new = row["panel_voxels"], row["panel_share"], row["new_voxels"]
        print(
            f"round {row['round']:2}, {row['accepted']:3} accepted: {panel['mean']:7.0f} voxels per case "
            f"({panel['low']:.0f} to {panel['high']:.0f}), {100 * share['mean']:5.1f} % of what is drawn, "
            f"{row['panel_slices']['mean']:4.1f} slices; new patients {new['mean']:7.0f}; "
            f"promoted {row['promoted']} of {row['seeds']}"
        )


def draw(rows: list[dict[str, Any]], file: Path) -> None:
    """Corrections over rounds, of the same patients and of those who came."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6, 3.6))
    accepted = [row["accepted"] for row in rows]
    for who, label in (("panel", "the same held-out patients"), ("new", "patients of the round")):
        found = [row[f"{who}_share"] for row in rows]
        axis.plot(accepted, [100 * one["mean"] for one in found], marker="o", label=label)
        axis.fill_between(accepted, [100 * o["low"] for o in found], [100 * o["high"] for o in found], alpha=0.2)
    axis.set(xlabel="accepted patients", ylabel="voxels corrected, % of those drawn", ylim=(0, None))
    axis.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=120)


def main() -> None:
    """Run and print."""
    parser = options(__doc__)
    parser.add_argument("--per-round", type=int, default=PER_ROUND, help="new patients per round")
    asked = parser.parse_args()
    everyone = patients_of(asked)
    if not everyone:
        return
    if asked.quick:
        asked.per_round = 1
        kept = {"training": 2, "validation": 1, "test": 2}
        everyone = [h for part, number in kept.items() for h in [one for one in everyone if one.part == part][:number]]
    name = f"learning_loop-{asked.collection}{size_of(asked)}"
    loop = Loop(everyone, asked, name)
    settings = {"per_round": asked.per_round, "base": asked.base.name if asked.base else "", "device": asked.device}
    diary = Diary(name, settings | {"recipe": "as of this file", "patients": len(everyone)}, asked.minutes)
    seeds = SEEDS[:1] if asked.quick else SEEDS
    diary.go_through([f"{seed} {number}" for seed in seeds for number in range(loop.rounds)], loop.one_round)
    rows = summary(diary.runs, loop.rounds)
    diary.keep(summary=rows)
    show(rows)
    if rows:
        draw(rows, KEPT / f"{name}.png")


if __name__ == "__main__":
    main()

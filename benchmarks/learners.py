"""What benchmarks of learning share: real hearts by patient, sparse experts, runs without a house, and intervals."""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import torch
from bench_house import KEPT
from irp_kernel import Geometry, Mask, ObjectRef, Volume, encode_mask, encode_volume
from irp_kernel.mask import VALUE_OF
from irp_training.domain.datasets.dataset import Case
from irp_training.domain.learning.lesson import Lesson
from irp_training.domain.learning.plan import CaseFile, Outcome, Plan
from irp_training.domain.recipes.reading import read_recipe
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "scripts"))
import cohorts  # noqa: E402

COLLECTIONS = {"cine": (cohorts.acdc, "acdc_cine"), "lge": (cohorts.emidec, "emidec_lge")}
PIXEL_MM = {"cine": cohorts.CINE_MM, "lge": cohorts.LGE_MM}
NOWHERE = ObjectRef(bucket="b", key="k", sha256="0" * 64, size=1, media_type="application/x-nrrd")
SMALL = {"segment_channels": [8, 16, 32, 64, 128], "segment_size": 96}  # a ninth of the arithmetic of the default
ROUNDS = 2000  # resamples of an interval
TOLERATED, LEAST_AREA = 0.05, 100  # of a slice's drawn voxels (at least so many) may be wrong before an expert redraws


@dataclass(frozen=True, slots=True)
class Heart:
    """A patient of a collection with the experts' whole mask; `part` is decided in cohorts.py, before all learning."""

    name: str
    part: str
    volume: Volume
    mask: Mask

    def file(self, mask: Mask | None = None, part: str = "") -> CaseFile:
        """As a lesson reads it, with this mask instead of the experts' if one is given."""
        case = Case(
            series=self.name, patient=self.name, site="", sequence_class="", volume=NOWHERE, mask=NOWHERE, version=1
        )
        return case, part or self.part, encode_volume(self.volume), encode_mask(mask or self.mask)


def hearts(collection: str, data: Path) -> Iterator[Heart]:
    """Every patient, images in the order in which cohorts.py makes files: slice after slice, every phase of each."""
    patients, folder = COLLECTIONS[collection]
    for one in patients(data / folder):
        frames, slices = one.labels.shape[:2]
        pictures = np.stack([pydicom.dcmread(io.BytesIO(file)).pixel_array for file in one.files])
        array = pictures.reshape(slices, frames, *pictures.shape[1:]).swapaxes(0, 1).astype(np.float32)
        sides_mm = [cohorts.PITCH_MM, PIXEL_MM[collection], PIXEL_MM[collection]]
        affine = tuple(map(tuple, np.diag([*sides_mm, 1.0]).tolist()))
        geometry = Geometry(shape=array.shape[1:], affine=affine, frames=frames)
        mask = Mask.fully_annotated(geometry, one.labels, one.table)
        yield Heart(one.name, one.part, Volume(geometry=geometry, array=array), mask)


def judged_only(mask: Mask, pairs: NDArray[np.bool_]) -> Mask:
    """The same mask by somebody who looked at these (frame, slice) pairs only; the rest is unknown, not background."""
    labels = mask.labels * pairs[..., None, None].astype(np.uint8)
    return Mask(geometry=mask.geometry, labels=labels, table=mask.table, annotated=mask.annotated & pairs[..., None])


def learn(files: Sequence[CaseFile], recipe: dict[str, Any], *, device: str, base: bytes = b"") -> Outcome:
    """A run as the training room's worker does it, without a house."""
    plan = Plan(
        model="bench",
        recipe=read_recipe(json.dumps(recipe), fine_tuning=bool(base), structures=VALUE_OF),
        base=base,
        base_name="base@1" if base else "",
        dataset_digest="",
        run="",
        created_at="",
        device=device,
    )
    return Lesson(plan, lambda said: note(f"    {said.progress.step}"))(files, None)


def to_correct(found: Mask, truth: Mask) -> tuple[int, int, int]:
    """What an expert changes to make a proposal true: voxels, and slices with more than a few; of so many drawn voxels.

    Only where the truth was judged. A voxel counts once, whatever it was taken for.
    """
    wrong, drawn = np.zeros((2, *truth.labels.shape), dtype=np.bool_)
    for name in truth.table.names:
        judged = truth.judged(name)[..., None, None]
        own = found.of(name) if name in found.table.names else np.zeros_like(wrong)
        wrong |= (own ^ truth.of(name)) & judged
        drawn |= truth.of(name) & judged
    touched = wrong.sum(axis=(2, 3)) > TOLERATED * np.maximum(drawn.sum(axis=(2, 3)), LEAST_AREA)
    return int(wrong.sum()), int(touched.sum()), int(drawn.sum())


def interval(table: NDArray[np.float64], seed: int = 0) -> dict[str, float]:
    """Mean of (seed, patient) with a 95 % interval: seeds and patients are both drawn anew, for both are samples.

    Source: the pigeonhole bootstrap (Owen, Annals of Applied Statistics 1(2):386-411, 2007). Patients without a value
    (NaN) do not count.
    """
    random = np.random.default_rng(seed)
    runs, patients = table.shape
    means = [
        np.nanmean(table[np.ix_(random.integers(runs, size=runs), random.integers(patients, size=patients))])
        for _ in range(ROUNDS)
    ]
    low, high = np.nanpercentile(means, [2.5, 97.5])
    return {"mean": float(np.nanmean(table)), "low": float(low), "high": float(high)}


@dataclass(slots=True)
class Diary:
    """Results so far, in out/bench/NAME.json: what is done stays done, so a benchmark may be ended at any time.

    Attributes:
        name: of the file.
        settings: what results depend on; others begin anew.
        minutes: how long to go on now.
        runs: key -> result.
    """

    name: str
    settings: dict[str, Any]
    minutes: float
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    done_now: int = 0

    def __post_init__(self) -> None:
        if self._file.is_file():
            before = json.loads(self._file.read_text("utf-8"))
            if before["settings"] == json.loads(json.dumps(self.settings)):
                self.runs = before["runs"]

    def go_through(self, keys: Sequence[str], work: Callable[[str], dict[str, Any]]) -> bool:
        """Do what is not done yet, in order, with progress and the time that is left; False if time ran out."""
        for key in keys:
            if key in self.runs:
                continue
            missing = sum(one not in self.runs for one in keys)
            each_s = (time.monotonic() - self.began) / self.done_now if self.done_now else 0.0
            if time.monotonic() - self.began + each_s > 60 * self.minutes:
                note(f"{self.minutes:g} minutes are over, {missing} runs are missing: call again to go on")
                return False
            eta = f"about {missing * each_s / 60:.0f} min left" if each_s else "time left not known yet"
            note(f"[{len(keys) - missing + 1}/{len(keys)}] {key}; {eta}")
            began = time.monotonic()
            self.runs[key] = {**work(key), "seconds": round(time.monotonic() - began, 1)}
            self.done_now += 1
            self.keep()
        return True

    def keep(self, **more: Any) -> None:
        """Write settings, results, and what came out of them."""
        KEPT.mkdir(parents=True, exist_ok=True)
        found = {"machine": platform.processor() or platform.machine(), "torch": torch.__version__}
        document = {"settings": self.settings, **found, **more, "runs": self.runs}
        beside = self._file.with_suffix(".part")
        beside.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
        beside.replace(self._file)

    @property
    def _file(self) -> Path:
        return KEPT / f"{self.name}.json"


def note(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def options(text: str | None) -> argparse.ArgumentParser:
    """What every benchmark of learning may be told."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("IRP_DATA", "data")), help="holds the folders")
    parser.add_argument("--collection", choices=sorted(COLLECTIONS), default="cine")
    parser.add_argument("--minutes", type=float, default=15.0, help="how long to go on now")
    parser.add_argument("--base", type=Path, help="bundle to begin with, which has seen none of these patients")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu", help="cpu, cuda")
    parser.add_argument("--small", action="store_true", help="half as wide networks on 96 pixels: an hour or two")
    parser.add_argument("--quick", action="store_true", help="tiny networks, few patients, one seed, few rounds")
    return parser


def size_of(asked: argparse.Namespace) -> str:
    """What results of another size are told apart by."""
    return "-quick" if asked.quick else "-small" if asked.small else ""


def patients_of(asked: argparse.Namespace) -> list[Heart]:
    """Everyone of the collection; nobody, which is said, where it is not there."""
    folder = asked.data / COLLECTIONS[asked.collection][1]
    if folder.is_dir():
        return list(hearts(asked.collection, asked.data))
    note(f"{folder} is not there: nothing is measured; see models/README.md")
    return []

"""What a run of the training server costs beside the same recipe written as a plain PyTorch loop, and what it keeps.

    python benchmarks/bench_training.py --pairs 5 --epochs 8
    python benchmarks/bench_training.py --pairs 3 --epochs 4 --large

Synthetic hearts, so that every step is the same everywhere. Plain loop and server take turns, each in a fresh process
at the same priority with one thread: same slices, net, order, augmentation, optimizer, moving average and validation;
their losses are compared, so that nothing is measured that was not the same. Printed, as JSON: the server's seconds
per pass over the plain loop's, by the clock and in processor time of the process that learns (median and quartiles of
the pairs; reports, pictures and checkpoints are the server's), the seconds that a run takes beside its passes, slices
per second of both, reading a dataset packed and from the cache, the largest difference of weights between a run that
was killed and one that was not, and between two processes and one.
Ratios are to the same pair, for a busy machine is slower; the load is printed. JSON goes to out/bench/training.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_house import keep
from irp_bundle import read_bundle
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_kernel import Mask, Volume, encode_mask, encode_volume
from irp_kernel.errors import Unavailable
from irp_training.adapters.case_cache import CaseCache
from irp_training.adapters.db import METADATA
from irp_training.adapters.sandbox_bounds import SandboxBounds
from irp_training.adapters.store import SqlStore
from irp_training.adapters.worker import ProcessWorker, _opened
from irp_training.app.approvals import Approvals
from irp_training.app.case_files import case_files
from irp_training.app.configuration import Configurations
from irp_training.app.create_dataset import CreateDataset
from irp_training.app.finish_run import FinishRun
from irp_training.app.judge_candidate import JudgeCandidate
from irp_training.app.keep_apart import KeepApart
from irp_training.app.ports import Project
from irp_training.app.start_run import StartRun, Wish
from irp_training.app.train_run import Terms, TrainRun
from irp_training.app.work_ports import CaseFiles, Listener
from irp_training.domain.datasets.case import Case
from irp_training.domain.datasets.dataset import Snapshot
from irp_training.domain.learning.plan import Outcome, Plan, Said
from irp_training.domain.learning.pupils import read_pupils
from irp_training.domain.recipes.reading import read_recipe
from plain_loop import beside

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests" / "training"))

from training_builders import a_heart  # noqa: E402 - the hearts of the tests

SPLITS = {"training": 4, "validation": 2}
Weights = dict[str, torch.Tensor]


def a_recipe(options: argparse.Namespace) -> dict[str, Any]:
    """Small nets, so that what is not learning shows; `--large` has those of the default."""
    small: dict[str, Any] = {"segment_channels": [16, 32, 64], "segment_size": 96, "batch": 8}
    chosen = {} if options.large else small
    counts = {"locate_epochs": 2, "segment_epochs": options.epochs, "checkpoint_epochs": 2, "threads": 1}
    return chosen | counts | {"locate_channels": [8, 16], "licence": "CC0-1.0"}


class Hearts:
    """A project with its accepted masks, in a database of its own."""

    def __init__(self, folder: Path, frames: int, size: int) -> None:
        self.objects = InMemoryObjects()
        self.database = Database(f"sqlite+aiosqlite:///{folder}/room.db", METADATA)
        self.store = SqlStore(self.database)
        self._frames, self._size = frames, size

    async def begin(self) -> Project:
        """Put them there."""
        async with self.database.engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)
        parts = [part for part, count in SPLITS.items() for _ in range(count)]
        hearts = [a_heart(n, slices=4, frames=self._frames, size=self._size) for n in range(len(parts))]
        names = {part: [f"p{n}" for n, one in enumerate(parts) if one == part] for part in SPLITS}
        document = json.dumps({"name": "demo", "splits": names}).encode()
        project = Project(id="demo", revision=1, configuration=await self._put(document))
        async with self.store.change() as change:
            await change.remember_project(project)
            for number, heart in enumerate(hearts):
                await change.remember_case("demo", await self._case(number, *heart))
        return project

    async def _case(self, number: int, volume: Volume, mask: Mask) -> Case:
        refs = await self._put(encode_volume(volume)), await self._put(encode_mask(mask))
        return Case(
            series=f"1.2.{number}", patient=f"p{number}", site="s", sequence_class="cine-sax",
            volume=refs[0], mask=refs[1], version=1, verdict="good", judged={"lv_blood_pool": 1},
        )  # fmt: skip

    async def _put(self, data: bytes) -> Any:
        return await self.objects.put(
            data, project="demo", entity="e", id="i", kind="k", media_type="application/x-nrrd", extension="bin"
        )


class Timed:
    """A worker that notes when each report came, and kills its processes once after so many of them."""

    def __init__(self, processes: int = 1, *, kill_after: int = 0) -> None:
        self._worker, self._kill_after = (
            ProcessWorker("cpu", SandboxBounds(memory_bytes=8 << 30, seconds=300), processes),
            kill_after,
        )
        self.came: list[tuple[float, float, Said]] = []  # seconds, processor seconds of the worker, report
        self.outcome: Outcome | None = None

    async def train(self, plan: Plan, files: CaseFiles, checkpoint: bytes | None, listen: Listener) -> Outcome | None:
        """See ProcessWorker.train."""

        async def noting(said: Said) -> bool:
            worked_s = sum(map(processor_seconds, self._worker._processes))
            self.came.append((time.perf_counter(), worked_s, said))
            goes_on = await listen(said)
            if len(self.came) == self._kill_after:
                for process in self._worker._processes:
                    os.kill(process.pid or 0, signal.SIGKILL)
            return goes_on

        self.outcome = await self._worker.train(plan, files, checkpoint, noting)
        return self.outcome

    async def score(self, bundle: bytes, files: CaseFiles) -> dict[str, dict[str, float]]:
        """See ProcessWorker.score."""
        return await self._worker.score(bundle, files)


def processor_seconds(process: Any) -> float:
    """Of a process that lives, by /proc: a busy machine changes it less than the clock on the wall."""
    fields = Path(f"/proc/{process.pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def served(hearts: Hearts, project: Project, recipe: dict[str, Any], worker: Timed) -> dict[str, Any]:
    """One run of the server: queued, learnt, examined, registered."""
    store, objects = hearts.store, hearts.objects
    configurations = Configurations(objects)
    judge: Any = JudgeCandidate(store, objects, worker)  # type: ignore[arg-type]
    finish = FinishRun(store, objects, judge, Approvals(store, configurations, 0), _now)
    train = TrainRun(store, objects, worker, finish, Terms(threads=1), objects)  # type: ignore[arg-type]
    start = StartRun(store, CreateDataset(store, objects, configurations), KeepApart(store, objects), _now)
    began = time.perf_counter()
    wish = Wish(model="cine", recipe=json.dumps(recipe), request_id=str(time.time_ns()))
    run = await start(project, wish)
    while not (await store.run("demo", run.id)).ended:
        try:
            await train("demo", run.id)
        except Unavailable:
            continue  # killed: the job would be taken up again
    took = time.perf_counter() - began
    reports = [one for one in worker.came if one[2].progress.step.startswith("segment")]
    seconds, worked = (reports[-1][kind] - reports[0][kind] for kind in (0, 1))
    losses = {m.epoch: m.value for *_, said in reports for m in said.metrics if m.name == "segment_loss"}
    rates = [m.value for *_, said in reports[1:] for m in said.metrics if m.name == "samples_per_s"]
    assert worker.outcome is not None
    weights = read_bundle(worker.outcome.bundle).weights["model"]
    figures = {"seconds": seconds, "worked": worked, "took": took, "rates": rates}
    return figures | {"losses": list(losses.values()), "weights": weights}


async def pairs_of(hearts: Hearts, project: Project, options: argparse.Namespace) -> dict[str, Any]:
    """Server and plain loop in turns."""
    given = a_recipe(options)
    recipe = read_recipe(json.dumps(given), fine_tuning=False, structures={})
    files = [file async for file in await _files(hearts, hearts.objects)]
    pairs, steps = list[tuple[dict[str, Any], float, float]](), recipe.min_steps
    for number in range(options.pairs):
        if number % 2:
            seconds, worked, losses = await asyncio.to_thread(beside, files, recipe)
            run = await served(hearts, project, given, Timed())
        else:
            run = await served(hearts, project, given, Timed())
            seconds, worked, losses = await asyncio.to_thread(beside, files, recipe)
        if not np.allclose(run["losses"], losses, rtol=1e-5):
            raise RuntimeError("server and plain loop did not learn the same")
        pairs.append((run, seconds, worked))
        print(f"pair {number + 1}: server {run['seconds']:.2f} s, plain {seconds:.2f} s", file=sys.stderr)
    rates = [rate for run, *_ in pairs for rate in run["rates"]]
    slices = recipe.batch * steps * (recipe.segment_epochs - 1)
    return {
        "server_over_plain": quartiles([run["seconds"] / seconds for run, seconds, _ in pairs]),
        "server_over_plain_in_processor_time": quartiles([run["worked"] / worked for run, _, worked in pairs]),
        "plain_slices_per_s": round(slices / statistics.median(seconds for _, seconds, _ in pairs), 1),
        "server_slices_per_s": round(slices / statistics.median(run["seconds"] for run, *_ in pairs), 1),
        "server_slices_per_s_without_validation": round(statistics.median(rates), 1),
        "run_beside_its_passes_s": quartiles([run["took"] - run["seconds"] for run, *_ in pairs]),
    }


async def keeping(hearts: Hearts, project: Project, options: argparse.Namespace) -> dict[str, Any]:
    """Weights of a run that was killed in the middle, and of one that two processes shared."""
    recipe = a_recipe(options)
    whole = await served(hearts, project, recipe, Timed())
    killed = await served(hearts, project, recipe, Timed(kill_after=5))
    shared = await served(hearts, project, recipe, Timed(2))
    return {
        "killed_largest_difference": largest(whole["weights"], killed["weights"]),
        "two_processes_largest_difference": largest(whole["weights"], shared["weights"], skip="bias"),
        "two_processes_losses_largest_relative_difference": float(
            np.max(np.abs(np.divide(shared["losses"], whole["losses"]) - 1))
        ),
        "two_processes_over_one_s": round(shared["seconds"] / whole["seconds"], 2),
    }


def largest(one: Weights, other: Weights, skip: str = "-") -> float:
    """Largest absolute difference of weights; a bias before a normalisation has no effect."""
    return max(float((one[n].float() - other[n].float()).abs().max()) for n in one if not n.endswith(skip))


async def reading(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds until every slice of a larger dataset lies in memory: packed, and from the disk."""
    hearts = Hearts(folder, frames=25, size=192)
    await hearts.begin()
    cache = CaseCache(hearts.objects, folder / "cases", 4 << 30)
    await _examples(hearts, cache)  # the first run fills it
    packed, cached = list[float](), list[float]()
    slices = 0
    for _ in range(options.pairs):
        for files, times in ((hearts.objects, packed), (cache, cached)):
            began = time.perf_counter()
            slices = await _examples(hearts, files)
            times.append(time.perf_counter() - began)
    await hearts.database.close()
    return {
        "slices": slices,
        "packed_slices_per_s": round(slices / statistics.median(packed), 1),
        "cached_slices_per_s": round(slices / statistics.median(cached), 1),
        "packed_over_cached_s": quartiles([a / b for a, b in zip(packed, cached, strict=True)]),
    }


async def _examples(hearts: Hearts, files: Any) -> int:
    found = [(c, part, _opened(v), _opened(m)) async for c, part, v, m in await _files(hearts, files)]
    pupils = read_pupils(found, ("lv_blood_pool", "lv_myocardium", "rv_blood_pool"))
    return len(pupils.training) + len(pupils.validation)


async def _files(hearts: Hearts, files: Any) -> AsyncIterator[Any]:
    project = await hearts.store.project("demo")
    assert project is not None
    row = await CreateDataset(hearts.store, hearts.objects, Configurations(hearts.objects))(project)
    snapshot = Snapshot.from_manifest(await hearts.objects.get(row.manifest))
    read: Callable[[], AsyncIterator[Any]] = case_files(files, snapshot)
    return read()


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Median with the middle half."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return {"median": round(float(middle), 4), "q1": round(float(low), 4), "q3": round(float(high), 4)}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


async def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Everything."""
    found: dict[str, Any] = {"load_before": os.getloadavg(), "recipe": a_recipe(options), "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hearts = Hearts(folder, frames=2, size=96)
        project = await hearts.begin()
        await served(hearts, project, a_recipe(options), Timed())  # imports, once
        found["overhead"] = await pairs_of(hearts, project, options)
        if not options.overhead:
            found["kept"] = await keeping(hearts, project, options)
        await hearts.database.close()
    if options.overhead:
        return found | {"load_after": os.getloadavg()}
    with tempfile.TemporaryDirectory() as name:
        found["reading"] = await reading(Path(name), options)
    return found | {"load_after": os.getloadavg()}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=8, help="of stage 2")
    parser.add_argument("--overhead", action="store_true", help="only server and plain loop in turns")
    parser.add_argument("--large", action="store_true", help="the nets of the default recipe")
    found = asyncio.run(measured(parser.parse_args()))
    keep("training", found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

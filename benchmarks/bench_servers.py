"""One network, the same OpenVINO float32 files, behind our server and behind others, in one run.

    benchmarks/peers/install.sh      # LitServe, BentoML, MLServer, Triton, MONAI Label: an environment for each
    python benchmarks/bench_servers.py --peers litserve,bentoml,mlserver,triton,monailabel --rounds 5 --seconds 5

For each server: the p50 of one client over the bare forward pass in this process, and the rates of 8 and of 32 clients
over the bare rate of batches of 8, with p95. The servers take turns in each round, and the bare pass is measured before
and after each of them: a ratio is to the mean of its two neighbours. Clients are threads of a process of their own, on
the same cores. Medians over the rounds, with an interval of the median by ranks (of five rounds: the smallest and the
largest, 94 %). Every server must answer what the bare pass answers. Of ours also: twelve images
(the slices of a series) in one request over the bare pass of all twelve. JSON goes to out/bench/servers-NETWORK.json.

    python benchmarks/bench_servers.py --network cine --reduced FOLDER --precisions int8,bfloat16

stands further servers of ours beside the others, with the networks that the guard accepts on the validation patients of
that collection (as in a house; FOLDER holds acdc_cine, see models/README.md), and says how far ahead of every float32
server each is: p50 and rates, by the ratio of both in the same round.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from bench_house import keep
from bench_precision import judged
from irp_bundle import read_bundle
from irp_inference.adapters.export import export_bundle
from learners import COLLECTIONS, hearts
from peers.clients import first_answer, measured
from peers.intervals import Spread, spread
from peers.networks import CHOICES, bundle_of
from peers.servers import OURS, PEERS, Door, installed, our_doors, peer_doors

ROOT = Path(__file__).resolve().parents[1]
CLIENTS = (1, 8, 32)
SLICES = 12  # of a series
TOLERANCE = 2e-3  # of the largest logit

Found = dict[str, dict[str, list[float]]]


class Bare:
    """The forward pass and nothing around it."""

    def __init__(self, xml: Path, image: np.ndarray[Any, Any]) -> None:
        options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        self._net = ov.Core().compile_model(xml, "CPU", options)
        self._image, self._eight, self._series = image, np.repeat(image, 8, axis=0), np.repeat(image, SLICES, axis=0)
        self.logits = np.array(self._net(image)[0])

    def measure(self, seconds: float) -> dict[str, float]:
        """p50 of one and of a series (ms), and inputs per second of batches of eight."""
        single, eight, series = (
            self._times(images, seconds / 3) for images in (self._image, self._eight, self._series)
        )
        return {
            "p50_ms": statistics.median(single) * 1000,
            "rate_8": 8 * len(eight) / sum(eight),
            "series_ms": statistics.median(series) * 1000,
        }

    def _times(self, images: np.ndarray[Any, Any], seconds: float) -> list[float]:
        times: list[float] = []
        while sum(times) < seconds:
            began = time.perf_counter()
            self._net(images)
            times.append(time.perf_counter() - began)
        return times


def main() -> None:
    """Run and print."""
    options = _options()
    data = bundle_of(options.network)
    bundle = read_bundle(data)
    image = np.random.default_rng(0).normal(size=(1, *bundle.input_shape("segment"))).astype("<f4")
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        path = folder / "bundle.zip"
        path.write_bytes(data)
        xml = Path(export_bundle(str(path), name, bundle.digest, 1 << 30)) / "segment.xml"
        bare, saved, series = Bare(xml, image), str(folder / "image.npy"), str(folder / "series.npy")
        np.save(saved, image)
        np.save(series, np.repeat(image, SLICES, axis=0))
        doors = stack.enter_context(our_doors(path, folder, saved))
        for precision in options.precisions:
            place = folder / precision
            place.mkdir()
            (place / "reduced.zip").write_bytes(guarded(data, precision, options.network, options.reduced))
            doors += stack.enter_context(our_doors(path, place, saved, precision))
        for peer in options.peers:
            doors += stack.enter_context(peer_doors(peer, xml, saved))
        for door in doors:
            _require_same(door, bare)
        found = _rounds(doors, bare, series, options)
    _report(found, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = ",".join(peer for peer in PEERS if installed(peer))
    parser.add_argument(
        "--peers", default=here, help="comma separated; default: those that are installed (%(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--network", choices=CHOICES, default="unet")
    parser.add_argument("--reduced", type=Path, metavar="FOLDER", help="where the collections of models/README.md are")
    parser.add_argument("--precisions", default="int8", help="those that stand beside float32 (%(default)s)")
    options = parser.parse_args()
    if options.reduced and options.network not in COLLECTIONS:
        parser.error("random weights have no validation patients: --reduced goes with --network cine")
    options.precisions = options.precisions.split(",") if options.reduced else []
    options.peers = [peer for peer in options.peers.split(",") if peer]
    for peer in options.peers:
        if peer not in PEERS or not installed(peer):
            parser.error(f"{peer} is not one of {', '.join(PEERS)}, or benchmarks/peers/install.sh has not run")
    return options


def guarded(data: bytes, precision: str, network: str, folder: Path) -> bytes:
    """The networks that the guard accepts, judged on the collection's validation patients."""
    held = [(one.name, one.volume, one.mask) for one in hearts(network, folder) if one.part == "validation"]
    said, artefact = judged(data, precision, held)
    if artefact is None:
        raise SystemExit(f"the guard refuses {precision}: {said['message']}")
    return artefact


def _require_same(door: Door, bare: Bare) -> None:
    logits = first_answer(door.question).reshape(bare.logits.shape)
    if door.precision != "float32":
        return  # judged by its guard: by Dice, not by logits
    worst = float(np.abs(logits - bare.logits).max() / np.abs(bare.logits).max())
    if worst > TOLERANCE:
        raise SystemExit(f"{door.name} answers something else: logits differ by {worst:.1e}")


def _rounds(doors: list[Door], bare: Bare, series: str, options: argparse.Namespace) -> Found:
    found: Found = {"bare": {"p50, ms": [], "rate of batches of 8": []}}
    before = bare.measure(options.seconds / 2)
    for number in range(options.rounds):
        for door in doors:
            said = {count: measured(door.question, count, options.seconds) for count in CLIENTS}
            if door.name.startswith(OURS):
                said[SLICES] = measured({**door.question, "image": series}, 1, options.seconds)
            after = bare.measure(options.seconds / 2)
            beside = {what: (before[what] + after[what]) / 2 for what in before}
            _keep(found, door.name, said, beside)
            before = after
        load = os.getloadavg()[0]
        sys.stderr.write(f"round {number + 1} of {options.rounds}, load {load:.1f}\n")
    return found


def _keep(found: Found, name: str, said: dict[int, dict[str, float]], beside: dict[str, float]) -> None:
    found["bare"]["p50, ms"].append(beside["p50_ms"])
    found["bare"]["rate of batches of 8"].append(beside["rate_8"])
    kept = found.setdefault(name, {})
    kept.setdefault("p50 of 1 / bare", []).append(said[1]["p50_ms"] / beside["p50_ms"])
    kept.setdefault("p50 of 1 - bare, ms", []).append(said[1]["p50_ms"] - beside["p50_ms"])
    for count in CLIENTS:
        if count > 1:
            kept.setdefault(f"rate of {count} / bare", []).append(said[count]["rate"] / beside["rate_8"])
        kept.setdefault(f"p95 of {count}, ms", []).append(said[count]["p95_ms"])
    if SLICES in said:
        kept.setdefault("p50 of a series / bare", []).append(said[SLICES]["p50_ms"] / beside["series_ms"])


def _report(found: Found, options: argparse.Namespace) -> None:
    spreads = {name: {what: spread(values) for what, values in kept.items()} for name, kept in found.items()}
    reduced = [name for name in found if any(name.startswith(f"{OURS} {one}") for one in options.precisions)]
    settings = {"network": options.network, "rounds": options.rounds, "seconds": options.seconds}
    ahead = _ahead(found, reduced)
    keep(f"servers-{options.network}", {**settings, "servers": spreads, "ahead": ahead})
    for name, kept in (spreads | ahead).items():
        print(name)
        for what, one in kept.items():
            print(f"  {what:24} {_line(one)}")


def _ahead(found: Found, reduced: list[str]) -> dict[str, dict[str, Spread]]:
    """How far a reduced precision is ahead of each float32 server, round by round: above 1 it is faster."""
    asked = ("p50 of 1 / bare", *(f"rate of {count} / bare" for count in CLIENTS if count > 1))
    mine = {name: found[name] for name in reduced}
    others = {name: kept for name, kept in found.items() if name not in {*mine, "bare"}}
    ahead: dict[str, dict[str, Spread]] = {}
    for (name, kept), (other, theirs) in itertools.product(mine.items(), others.items()):
        for what in asked:
            pairs = zip(kept[what], theirs[what], strict=True)
            ratios = [b / a if what.startswith("p50") else a / b for a, b in pairs]
            ahead.setdefault(f"{name} ahead of {other}", {})[what.removesuffix(" / bare")] = spread(ratios)
    return ahead


def _line(one: Spread) -> str:
    return f"{one['median']:9.3f}   [{one['low']:.3f}, {one['high']:.3f}]"


if __name__ == "__main__":
    main()

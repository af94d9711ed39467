"""A reduced precision before its guard, as a computation: bundle and case files in, verdict and networks out. No I/O.

The engine is the one that serves on a CPU, so that what is judged is what will answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from irp_bundle import Engine, Located, Pipeline, Stage, read_bundle
from irp_bundle.reduced import Reduced as ReducedNetworks
from irp_bundle.reduced import probe_inputs, write_reduced
from irp_kernel import Mask, Volume, decode_mask, decode_volume
from numpy.typing import NDArray

from irp_training.domain.errors import QuantiserMissing
from irp_training.domain.judging.gate import Scores, Verdict
from irp_training.domain.judging.precision import Reduced, accepts, compare
from irp_training.domain.judging.scores import judge_case
from irp_training.domain.learning.plan import CaseFile, Said
from irp_training.domain.reducing.quantise import Recipe, quantise, recipes_for
from irp_training.domain.reducing.trial_report import in_words, report, software
from irp_training.domain.run import Progress

if TYPE_CHECKING:
    from irp_bundle.openvino_engine import OpenVinoEngine

MAIN: Stage = "segment"  # the network that is reduced to int8: stage 1 takes a tenth of its time and gains nothing
CALIBRATION = 128  # inputs at most
TIMED_BATCHES = (1, 8)
PAIRS = 9  # of passes in float32 and reduced, one after the other, per batch size

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPlan:
    """What is tried, beside the case files.

    Attributes:
        bundle: the version's archive.
        precision: what is tried.
        dataset: digest of the dataset whose validation split the case files are.
        threads: CPU threads; 0 = every core.
    """

    bundle: bytes
    precision: Reduced
    dataset: str
    threads: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """What came out.

    Attributes:
        accepted: the precision may serve.
        message: in plain words.
        report: JSON: what was tried and measured, on which processor.
        speedup: see `precision.Trial`.
        artefact: the accepted networks as `irp_bundle.reduced` writes them; None = there are none.
    """

    accepted: bool
    message: str
    report: str
    speedup: float
    artefact: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    series: str
    volume: Volume
    truth: Mask
    located: Located


@dataclass(slots=True)
class _Sample:
    """An engine that keeps inputs of its main network: CALIBRATION at most, each with the same chance."""

    engine: Engine
    kept: list[Array] = field(default_factory=list)
    seen: int = 0
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def __call__(self, stage: Stage, batch: Array) -> Array:
        for row in batch if stage == MAIN else ():
            self.seen += 1
            place = len(self.kept) if len(self.kept) < CALIBRATION else int(self.random.integers(self.seen))
            if place < CALIBRATION:
                self.kept[place : place + 1] = [row.copy()]
        return self.engine(stage, batch)


class PrecisionTrial:
    """Runs a plan; one instance per trial.

    Args:
        plan: what is tried.
        say: told how far it is.
        reduce: (graph, inputs, recipe) -> graph in int8.
    """

    def __init__(
        self, plan: TrialPlan, say: Callable[[Said], None], reduce: Callable[[Any, Array, Recipe], Any] = quantise
    ) -> None:
        # Only whoever has the extra `int8` has it.
        try:
            from irp_bundle import openvino_engine, upsampling
        except ImportError:
            raise QuantiserMissing from None
        self._openvino, self._plan, self._say, self._reduce = openvino_engine, plan, say, reduce
        self._reducible = upsampling.with_plain_convolutions
        self._bundle = read_bundle(plan.bundle)

    def __call__(self, files: Iterable[CaseFile]) -> TrialOutcome:
        """Judge.

        Raises:
            QuantiserMissing: `nncf` is not installed.
            NotQuantisable: no recipe knows what to do with the network.
        """
        self._tell("judging in float32", 0.02)
        graphs = self._openvino.graphs_of(self._bundle)
        plain = _Sample(self._engine(graphs, "float32"))
        cases = self._read(files, plain)
        float32 = self._scores(plain, cases)
        inputs = np.stack(plain.kept) if plain.kept else np.empty((0, *self._bundle.input_shape(MAIN)), np.float32)
        if self._plan.precision == "bfloat16":
            return self._bfloat16(graphs, cases, float32, inputs)
        return self._int8(graphs, cases, float32, inputs)

    def _bfloat16(
        self, graphs: Mapping[Stage, Any], cases: list[_Case], float32: Scores, inputs: Array
    ) -> TrialOutcome:
        self._tell("judging in bfloat16", 0.5)
        reduced = {stage: self._reducible(graph) for stage, graph in graphs.items()}
        verdict = self._worse(reduced, cases, float32, locate_again=True)
        speed = self._speed(graphs, self._engine(reduced, "bfloat16"), inputs)
        artefact = self._artefact(reduced, list(reduced), {}) if accepts(verdict) else None
        return self._outcome(verdict, [("bfloat16", verdict)], speed, inputs, artefact)

    def _int8(self, graphs: Mapping[Stage, Any], cases: list[_Case], float32: Scores, inputs: Array) -> TrialOutcome:
        """The first, that is the fastest, recipe that passes; else the last one's verdict."""
        tried: list[tuple[str, Verdict]] = []
        verdict = self._verdict({}, {})
        main = self._reducible(graphs[MAIN])
        recipes = recipes_for(main) if len(inputs) else []
        for number, recipe in enumerate(recipes):
            step = f"int8, recipe {number + 1} of {len(recipes)}: {recipe.name}"
            self._tell(step, 0.3 + 0.6 * number / len(recipes))
            reduced = {**graphs, MAIN: self._reduce(main, inputs, recipe)}
            verdict = self._worse(reduced, cases, float32)
            tried.append((recipe.name, verdict))
            if accepts(verdict):
                speed = self._speed(graphs, self._engine(reduced, "int8"), inputs)
                return self._outcome(verdict, tried, speed, inputs, self._artefact(reduced, [MAIN], asdict(recipe)))
        return self._outcome(verdict, tried, {}, inputs)

    def _engine(self, graphs: Mapping[Stage, Any], precision: Any) -> OpenVinoEngine:
        return self._openvino.OpenVinoEngine(graphs, precision, threads=self._plan.threads)

    def _ways(self, graphs: Mapping[Stage, Any]) -> tuple[OpenVinoEngine, OpenVinoEngine]:
        """As readers ask: slices together; and one alone, which several threads may round in another way."""
        alone = self._plan.threads and max(2, self._plan.threads)  # 0 = every core
        precision = self._plan.precision
        return (
            self._engine(graphs, precision),
            self._openvino.OpenVinoEngine(graphs, precision, threads=alone, batch=1),
        )

    def _worse(
        self, graphs: Mapping[Stage, Any], cases: list[_Case], float32: Scores, *, locate_again: bool = False
    ) -> Verdict:
        """What is found in the worse of both ways."""
        found = (self._scores(engine, cases, locate_again=locate_again) for engine in self._ways(graphs))
        verdicts = [self._verdict(scores, float32) for scores in found]
        return min(verdicts, key=lambda verdict: verdict.worst.difference if verdict.worst else 0.0)

    def _read(self, files: Iterable[CaseFile], engine: Engine) -> list[_Case]:
        pipeline, cases = Pipeline(self._bundle, engine), []
        for case, _, volume_file, mask_file in files:
            volume = decode_volume(volume_file)
            cases.append(_Case(case.series, volume, decode_mask(mask_file), pipeline.locate(volume)))
        return cases

    def _scores(self, engine: Engine, cases: list[_Case], *, locate_again: bool = False) -> Scores:
        pipeline = Pipeline(self._bundle, engine)
        return {
            case.series: judge_case(pipeline, case.volume, case.truth, None if locate_again else case.located)
            for case in cases
        }

    def _verdict(self, found: Scores, float32: Scores) -> Verdict:
        return compare(found, float32, dataset=self._plan.dataset, structures=self._bundle.structures)

    def _artefact(self, graphs: Mapping[Stage, Any], stages: Sequence[Stage], recipe: Mapping[str, Any]) -> bytes:
        ways = self._ways(graphs)
        probe: dict[str, tuple[Array, Array]] = {}
        for stage in stages:
            inputs = probe_inputs(self._bundle.input_shape(stage))
            probe[stage] = inputs, np.stack([engine(stage, inputs) for engine in ways])
        return write_reduced(
            ReducedNetworks(
                bundle=self._bundle.digest,
                graphs={stage: self._openvino.graph_files(graphs[stage]) for stage in stages},
                probe=probe,
                about={"precision": self._plan.precision, "recipe": dict(recipe), **software()},
            )
        )

    def _speed(self, graphs: Mapping[Stage, Any], engine: Engine, inputs: Array) -> dict[str, float]:
        """Batch size -> seconds of a pass in float32 over those reduced; medians of alternating pairs."""
        self._tell("measuring the speed", 0.95)
        plain, found = self._engine(graphs, "float32"), {}
        for batch in TIMED_BATCHES if len(inputs) else ():
            rows = np.resize(inputs, (batch, *inputs.shape[1:]))
            pairs = [(_seconds(plain, rows), _seconds(engine, rows)) for _ in range(1 + PAIRS)][1:]
            found[str(batch)] = round(float(np.median([before / after for before, after in pairs])), 3)
        return found

    def _outcome(
        self,
        verdict: Verdict,
        tried: list[tuple[str, Verdict]],
        speed: dict[str, float],
        inputs: Array,
        artefact: bytes | None = None,
    ) -> TrialOutcome:
        accepted = accepts(verdict)
        int8 = self._plan.precision == "int8"
        machine = self._openvino.processor() | {"native": self._openvino.is_native(self._plan.precision)}
        told = report(
            self._plan.precision,
            tried,
            dataset=self._plan.dataset,
            speedup=speed,
            calibration_inputs=len(inputs) if int8 else 0,
            machine=machine,
        )
        return TrialOutcome(
            accepted=accepted,
            message=in_words(verdict),
            report=told,
            speedup=speed.get("1", 0.0),
            artefact=artefact,
        )

    def _tell(self, step: str, fraction: float) -> None:
        self._say(Said(progress=Progress(fraction=fraction, step=step)))


def _seconds(engine: Engine, rows: Array) -> float:
    began = time.perf_counter()
    engine(MAIN, rows)
    return time.perf_counter() - began

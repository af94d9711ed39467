"""A whole run as a computation: plan and case files in, reports on the way, a bundle and its figures out. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from irp_bundle import Bundle, Pipeline, TorchEngine, read_bundle, read_spec, write_bundle
from irp_kernel import Mask, Volume, decode_mask, decode_volume
from irp_kernel.mask import VALUE_OF
from torch import Tensor, nn

from irp_training.domain.card import model_card
from irp_training.domain.checkpoint import Saved, pack, unpack
from irp_training.domain.curves import dice_points
from irp_training.domain.dataset import Case
from irp_training.domain.errors import NothingJudged
from irp_training.domain.examples import Example, examples_of
from irp_training.domain.gate import Scores
from irp_training.domain.hardware import Hardware
from irp_training.domain.networks import adopt, definitions, fresh
from irp_training.domain.overlay import Overlay
from irp_training.domain.recipe import STAGES, Recipe
from irp_training.domain.run import Metric, Progress
from irp_training.domain.scores import intervals, measure_case, score_case
from irp_training.domain.showing import show
from irp_training.domain.stages import Locate, Segment, Stage
from irp_training.domain.trainer import Trainer

CaseFile = tuple[Case, str, bytes, bytes]  # case, split, volume file, mask file
HELD_OUT = ("validation", "test")
LEARNT = ("lv_blood_pool", "lv_myocardium", "rv_blood_pool")  # where neither recipe nor base says otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that decides the result, beside the case files.

    Attributes:
        model: name of the result.
        recipe: frozen.
        base: bundle to start from; empty = from scratch.
        base_name: `name@version`, for the card.
        dataset_digest: for the card.
        run: id, for the card.
        created_at: RFC 3339 UTC, for the card.
        device: "cpu" or "cuda".
    """

    model: str
    recipe: Recipe
    base: bytes
    base_name: str
    dataset_digest: str
    run: str
    created_at: str
    device: str = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came out.

    Attributes:
        bundle: ZIP.
        structures: canonical names, by channel.
        licence: docs/license.txt.
        figures: as the card shows them.
        cases: one per held-out series: series, patient, split, Dice before (base) and after per structure, distances
            of borders after.
    """

    bundle: bytes
    structures: tuple[str, ...]
    licence: str
    figures: dict[str, Any]
    cases: list[dict[str, Any]]

    def validation_scores(self) -> Scores:
        """Dice after, of the validation split."""
        return {case["series"]: case["after"] for case in self.cases if case["split"] == "validation"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One report on the way."""

    progress: Progress
    metrics: tuple[Metric, ...] = ()
    checkpoint: bytes | None = None
    overlays: tuple[Overlay, ...] = ()


@dataclass(slots=True)
class _Pupils:
    """The case files, decoded once."""

    training: list[Example] = field(default_factory=list)
    validation: list[Example] = field(default_factory=list)
    held_out: list[tuple[Case, str, Volume, Mask]] = field(default_factory=list)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)


Say = Callable[[Said], None]


class Lesson:
    """Runs a plan; one instance per run."""

    def __init__(self, plan: Plan, say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        self._plan, self._say, self._clock = plan, say, clock
        self._recipe = plan.recipe
        self._device = torch.device(plan.device)
        self._base: Bundle | None = read_bundle(plan.base) if plan.base else None
        self._structures = self._recipe.structures or (self._base.structures if self._base else LEARNT)
        self._config = definitions(self._recipe, self._structures, self._base)
        self._spec = read_spec(self._config["irp_pipeline"])

    def __call__(self, files: Iterable[CaseFile], checkpoint: bytes | None) -> Outcome:
        """Learn, then look at patients that were kept out.

        Raises:
            NothingJudged: the training split judges none of the structures.
            RunDiverged: the loss is not finite.
        """
        torch.use_deterministic_algorithms(True, warn_only=self._device.type != "cpu")
        torch.set_num_threads(max(1, self._recipe.threads))
        pupils = self._read(files)
        states = self._train(pupils, unpack(checkpoint) if checkpoint else Saved())
        self._tell("judging on patients kept out", 0.97)
        return self._examine(pupils, states)

    def _read(self, files: Iterable[CaseFile]) -> _Pupils:
        pupils = _Pupils()
        patients: dict[str, set[str]] = {}
        for case, part, volume_file, mask_file in files:
            volume, mask = decode_volume(volume_file), decode_mask(mask_file)
            found = examples_of(volume, mask, self._structures)
            if part == "training":
                pupils.training += found
            elif part == "validation":
                pupils.validation += [replace(example, patient=case.patient) for example in found]
            if part in HELD_OUT:
                pupils.held_out.append((case, part, volume, mask))
            patients.setdefault(part, set()).add(case.patient)
            count = pupils.counts.setdefault(part, {"patients": 0, "series": 0, "slices": 0})
            count["series"], count["slices"] = count["series"] + 1, count["slices"] + len(found)
            count["patients"] = len(patients[part])
        if not pupils.training:
            raise NothingJudged
        return pupils

    def _train(self, pupils: _Pupils, saved: Saved) -> dict[str, dict[str, Tensor]]:
        """Weights per stage: trained, or the base's."""
        for stage in self._stages():
            if stage.name in saved.done:
                continue
            trainer = self._trainer(stage, pupils.training)
            if saved.state is not None:
                trainer.load(saved.state)
            self._run_stage(trainer, stage, pupils.validation, saved)
            saved = Saved(done={**saved.done, stage.name: trainer.weights()})
        return saved.done

    def _trainer(self, stage: Stage, examples: list[Example]) -> Trainer:
        # On a CPU learning takes every thread already; beside a GPU the processor would idle.
        ahead = 0 if self._device.type == "cpu" else max(1, self._recipe.threads)
        net, base = self._net(stage), self._remembered(stage)
        return Trainer(net, stage, examples, self._recipe, self._device, base, ahead)

    def _run_stage(self, trainer: Trainer, stage: Stage, validation: list[Example], saved: Saved) -> None:
        before, hardware = self._epochs_before(stage), Hardware(self._device)
        while trainer.epochs_done < trainer.epochs:
            began, losses = self._clock(), list[float]()
            for loss in trainer.epoch():
                losses.append(loss)
            epoch = before + trainer.epochs_done
            metrics = [Metric(epoch, f"{stage.name}_loss", sum(losses) / len(losses))]
            metrics += dice_points(epoch, trainer.validate_by_patient(validation) if validation else {})
            metrics += hardware.since(epoch)
            due = trainer.epochs_done % self._recipe.checkpoint_epochs == 0 or trainer.epochs_done == trainer.epochs
            state = pack(Saved(done=saved.done, state=trainer.state())) if due else None
            left = self._eta(stage, trainer, self._clock() - began)
            fraction = 0.95 * epoch / self._all_epochs()
            step = f"{stage.name}: epoch {trainer.epochs_done} of {trainer.epochs}"
            self._say(
                Said(
                    progress=Progress(fraction=fraction, eta_s=left, step=step),
                    metrics=tuple(metrics),
                    checkpoint=state,
                    overlays=show(trainer, validation, epoch) if due and stage.name == "segment" else (),
                )
            )

    def _eta(self, stage: Stage, trainer: Trainer, last_s: float) -> float:
        later = self._all_epochs() - self._epochs_before(stage) - trainer.epochs
        return last_s * (
            trainer.epochs - trainer.epochs_done + 3 * later
        )  # an epoch of stage 2 takes about 3 of stage 1

    def _stages(self) -> list[Stage]:
        all_: dict[str, Stage] = {
            "locate": Locate(self._structures, self._spec.locate),
            "segment": Segment(self._structures, self._spec.segment, self._spec.locate.margin),
        }
        return [all_[name] for name in STAGES if name in self._recipe.stages]

    def _net(self, stage: Stage) -> nn.Module:
        seed = self._recipe.seed + STAGES.index(stage.name)
        if stage.name == "locate":
            if self._base is not None and "locate" in self._base.stages:
                return self._base.build("locate")
            return fresh(self._config["locate_def"], seed)
        if self._base is not None:
            return adopt(self._base, self._config["network_def"], self._structures, seed)
        return fresh(self._config["network_def"], seed)

    def _remembered(self, stage: Stage) -> nn.Module | None:
        """The base's second net, if it knows every structure that is learnt."""
        if stage.name != "segment" or self._base is None or not set(self._structures) <= set(self._base.structures):
            return None
        return adopt(self._base, self._config["network_def"], self._structures, self._recipe.seed)

    def _epochs_before(self, stage: Stage) -> int:
        return self._recipe.locate_epochs if stage.name == "segment" and "locate" in self._recipe.stages else 0

    def _all_epochs(self) -> int:
        return sum(self._recipe.epochs_of(name) for name in self._recipe.stages)

    def _examine(self, pupils: _Pupils, states: dict[str, dict[str, Tensor]]) -> Outcome:
        locate, segment = self._weights("locate", states), self._weights("segment", states)
        licence = self._recipe.licence or (self._base.licence if self._base else "") or "Not stated."
        draft = self._write(segment, locate, {}, "", licence)
        cases = self._score(pupils, read_bundle(draft))
        figures = {"counts": pupils.counts, "dice": summarise(cases, "after"), "intervals": case_intervals(cases)}
        if self._base is not None:
            figures["dice_of_base"] = summarise(cases, "before")
        card = model_card(
            name=self._plan.model,
            recipe=self._recipe,
            base=self._plan.base_name,
            digest=self._plan.dataset_digest,
            structures=self._structures,
            figures=figures,
        )
        bundle = self._write(segment, locate, figures, card, licence)
        return Outcome(bundle=bundle, structures=self._structures, licence=licence, figures=figures, cases=cases)

    def _weights(self, stage: str, states: dict[str, dict[str, Tensor]]) -> dict[str, Tensor] | None:
        if stage in states:
            return states[stage]
        role = "model" if stage == "segment" else stage
        return dict(self._base.weights[role]) if self._base and role in self._base.weights else None

    def _write(
        self,
        segment: dict[str, Tensor] | None,
        locate: dict[str, Tensor] | None,
        figures: dict[str, Any],
        card: str,
        licence: str,
    ) -> bytes:
        if segment is None:
            raise NothingJudged(stage="segment")
        metadata = {
            "structures": list(self._structures),
            "dataset_digest": self._plan.dataset_digest,
            "recipe": self._recipe.to_json(),
            "seed": self._recipe.seed,
            "base": self._plan.base_name,
            "run": self._plan.run,
            "created_at": self._plan.created_at,
            "figures": figures,
        }
        return write_bundle(self._plan.model, segment, locate, self._config, metadata, card, licence)

    def _score(self, pupils: _Pupils, after: Bundle) -> list[dict[str, Any]]:
        mine = Pipeline(after, TorchEngine(after, self._plan.device))
        base = Pipeline(self._base, TorchEngine(self._base, self._plan.device)) if self._base else None
        rows = []
        for case, part, volume, mask in pupils.held_out:
            row: dict[str, Any] = {"series": case.series, "patient": case.patient, "split": part}
            measures = measure_case(mine, volume, mask)
            row["after"] = {name: found["dice"] for name, found in measures.items() if "dice" in found}
            row["distances"] = {name: _without_dice(found) for name, found in measures.items()}
            row["before"] = score_case(base, volume, mask) if base else {}
            rows.append(row)
        return rows

    def _tell(self, step: str, fraction: float) -> None:
        self._say(Said(progress=Progress(fraction=fraction, step=step)))


def summarise(cases: list[dict[str, Any]], when: str) -> dict[str, dict[str, dict[str, float]]]:
    """Mean, least and number of Dice values: {split: {structure: {...}}}."""
    found: dict[str, dict[str, list[float]]] = {}
    for case in cases:
        for structure, value in case[when].items():
            found.setdefault(case["split"], {}).setdefault(structure, []).append(value)
    return {
        part: {
            structure: {"mean": sum(values) / len(values), "min": min(values), "cases": len(values)}
            for structure, values in sorted(structures.items(), key=lambda item: VALUE_OF[item[0]])
        }
        for part, structures in sorted(found.items())
    }


def case_intervals(cases: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """{split: {structure: {measure: mean and interval over patients}}} of the run's own answers."""
    parts = sorted({case["split"] for case in cases})
    return {part: intervals((c["patient"], _measures_of(c)) for c in cases if c["split"] == part) for part in parts}


def _measures_of(case: dict[str, Any]) -> dict[str, dict[str, float]]:
    found = {name: dict(distances) for name, distances in case["distances"].items()}
    for name, value in case["after"].items():
        found.setdefault(name, {})["dice"] = value
    return found


def _without_dice(measures: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in measures.items() if name != "dice"}


def score_bundle(data: bytes, files: Iterable[CaseFile], device: str = "cpu") -> dict[str, dict[str, float]]:
    """Dice per case and structure of a bundle: what the gate compares."""
    bundle = read_bundle(data)
    pipeline = Pipeline(bundle, TorchEngine(bundle, device))
    return {case.series: score_case(pipeline, decode_volume(v), decode_mask(m)) for case, _, v, m in files}

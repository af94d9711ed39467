"""The end of a run: patients that were kept out are scored with the whole pipeline, and the bundle is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from irp_bundle import Bundle, Pipeline, TorchEngine, read_bundle, write_bundle
from irp_kernel import decode_mask, decode_volume
from irp_kernel.mask import VALUE_OF
from torch import Tensor

from irp_training.domain.card import model_card
from irp_training.domain.errors import NothingJudged
from irp_training.domain.plan import CaseFile, Outcome, Plan
from irp_training.domain.pupils import Pupils
from irp_training.domain.scores import score_case

Weights = dict[str, Tensor]


class Examination:
    """Looks at what was learnt; one instance per run.

    Args:
        plan: of the run.
        base: where the run started; None = from scratch.
        structures: canonical names, by channel.
        config: `network_def`, `locate_def` and `irp_pipeline` of the result.
    """

    def __init__(self, plan: Plan, base: Bundle | None, structures: tuple[str, ...], config: dict[str, Any]) -> None:
        self._plan, self._base, self._structures, self._config = plan, base, structures, config
        self._licence = plan.recipe.licence or (base.licence if base else "") or "Not stated."

    def __call__(self, pupils: Pupils, states: dict[str, Weights]) -> Outcome:
        """Score, then write the card and the bundle.

        Args:
            pupils: whose held-out series are scored.
            states: weights of the stages that were trained; the others are the base's.
        """
        draft = self._write(states, {}, "")
        cases = self._score(pupils, read_bundle(draft))
        figures = {"counts": pupils.counts, "dice": summarise(cases, "after")}
        if self._base is not None:
            figures["dice_of_base"] = summarise(cases, "before")
        return Outcome(
            bundle=self._write(states, figures, self._card(figures)),
            structures=self._structures,
            licence=self._licence,
            figures=figures,
            cases=cases,
        )

    def _card(self, figures: dict[str, Any]) -> str:
        return model_card(
            name=self._plan.model,
            recipe=self._plan.recipe,
            base=self._plan.base_name,
            digest=self._plan.dataset_digest,
            structures=self._structures,
            figures=figures,
        )

    def _write(self, states: dict[str, Weights], figures: dict[str, Any], card: str) -> bytes:
        segment, locate = self._weights("segment", states), self._weights("locate", states)
        if segment is None:
            raise NothingJudged(stage="segment")
        metadata = {
            "structures": list(self._structures),
            "dataset_digest": self._plan.dataset_digest,
            "recipe": self._plan.recipe.to_json(),
            "seed": self._plan.recipe.seed,
            "base": self._plan.base_name,
            "run": self._plan.run,
            "created_at": self._plan.created_at,
            "figures": figures,
        }
        return write_bundle(self._plan.model, segment, locate, self._config, metadata, card, self._licence)

    def _weights(self, stage: str, states: dict[str, Weights]) -> Weights | None:
        if stage in states:
            return states[stage]
        role = "model" if stage == "segment" else stage
        return dict(self._base.weights[role]) if self._base and role in self._base.weights else None

    def _score(self, pupils: Pupils, after: Bundle) -> list[dict[str, Any]]:
        mine = Pipeline(after, TorchEngine(after, self._plan.device))
        base = Pipeline(self._base, TorchEngine(self._base, self._plan.device)) if self._base else None
        rows = []
        for case, part, volume, mask in pupils.held_out:
            row: dict[str, Any] = {"series": case.series, "patient": case.patient, "split": part}
            row["after"] = score_case(mine, volume, mask)
            row["before"] = score_case(base, volume, mask) if base else {}
            rows.append(row)
        return rows


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


def score_bundle(data: bytes, files: Iterable[CaseFile], device: str = "cpu") -> dict[str, dict[str, float]]:
    """Dice per case and structure of a bundle: what the gate compares."""
    bundle = read_bundle(data)
    pipeline = Pipeline(bundle, TorchEngine(bundle, device))
    return {case.series: score_case(pipeline, decode_volume(v), decode_mask(m)) for case, _, v, m in files}

"""The end of a run: patients that were kept out are scored with the whole pipeline, and the bundle is written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from irp_bundle import Bundle, Pipeline, TorchEngine, read_bundle, read_spec, write_bundle
from irp_kernel import decode_mask, decode_volume
from torch import Tensor

from irp_training.domain.datasets.subgroups import subgroups_of
from irp_training.domain.errors import NothingJudged
from irp_training.domain.judging.figures import by_subgroup, case_intervals, summarise
from irp_training.domain.judging.scores import measure_case, score_case, without_dice
from irp_training.domain.learning.card import model_card
from irp_training.domain.learning.plan import CaseFile, Outcome, Plan

Weights = dict[str, Tensor]


class Examination:
    """Looks at what was learnt; one instance per run.

    Args:
        plan: of the run.
        base: where the run started; None = from scratch.
        structures: canonical names, by channel.
        config: `network_def`, `locate_def` and `irp_pipeline` of the result.
        configured: see `Configured.to_text`; empty = the training cases chose nothing.
    """

    def __init__(
        self,
        plan: Plan,
        base: Bundle | None,
        structures: tuple[str, ...],
        config: dict[str, Any],
        configured: str = "",
    ) -> None:
        self._configured: dict[str, Any] = json.loads(configured) if configured else {}
        self._plan, self._base, self._structures, self._config = plan, base, structures, config
        self._licence = plan.recipe.licence or (base.licence if base else "") or "Not stated."

    def __call__(
        self, held_out: Iterable[CaseFile], counts: dict[str, dict[str, int]], states: dict[str, Weights]
    ) -> Outcome:
        """Score, then write the card and the bundle.

        Args:
            held_out: series that are scored, one after the other: no two lie in memory.
            counts: see `Pupils`.
            states: weights of the stages that were trained; the others are the base's.
        """
        draft = self._write(states, {}, "")
        cases = self._score(held_out, read_bundle(draft))
        figures: dict[str, Any] = {
            "counts": counts,
            "dice": summarise(cases, "after"),
            "subgroups": by_subgroup(cases),
            "intervals": case_intervals(cases),
        }
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
            pipeline=read_spec(self._config["irp_pipeline"]),
            configured=self._configured,
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
        } | ({"configured": self._configured} if self._configured else {})
        return write_bundle(self._plan.model, segment, locate, self._config, metadata, card, self._licence)

    def _weights(self, stage: str, states: dict[str, Weights]) -> Weights | None:
        if stage in states:
            return states[stage]
        role = "model" if stage == "segment" else stage
        return dict(self._base.weights[role]) if self._base and role in self._base.weights else None

    def _score(self, held_out: Iterable[CaseFile], after: Bundle) -> list[dict[str, Any]]:
        mine = Pipeline(after, TorchEngine(after, self._plan.device))
        base = Pipeline(self._base, TorchEngine(self._base, self._plan.device)) if self._base else None
        return [_row(file, mine, base) for file in held_out]


def _row(file: CaseFile, mine: Pipeline, base: Pipeline | None) -> dict[str, Any]:
    """What is kept of one series."""
    case, part, volume_file, mask_file = file
    volume, mask = decode_volume(volume_file), decode_mask(mask_file)
    row: dict[str, Any] = {"series": case.series, "patient": case.patient, "split": part}
    row["subgroups"] = subgroups_of(case)
    measures = measure_case(mine, volume, mask)
    row["after"] = {name: found["dice"] for name, found in measures.items() if "dice" in found}
    row["distances"] = {name: without_dice(found) for name, found in measures.items()}
    row["before"] = score_case(base, volume, mask) if base else {}
    return row

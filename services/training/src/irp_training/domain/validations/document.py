"""What a validation found, as one JSON document: every figure of the report, and how it was taken."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from irp_kernel import Mask

from irp_training.domain.datasets.dataset import Case
from irp_training.domain.datasets.subgroups import subgroups_of
from irp_training.domain.judging.scores import DIGITS, Measures, interval_json, intervals
from irp_training.domain.validations.agreement import agreement
from irp_training.domain.validations.plan import ValidationPlan
from irp_training.domain.validations.volumes import Pair, function_pairs, volume_pairs

KIND, VERSION = "openirp-validation-report", 1
CONVENTIONS = (
    "Judged is only what an expert judged; a slice that nobody judged is unknown, not background.",
    "Intervals: 95 %, bootstrap over patients (expanded percentile, Hesterberg 2015), 2,000 resamples, seed 0.",
    "HD95 (greater of both directions) and mean surface distance in mm, per run of consecutive judged slices, in 3D; "
    "as in MONAI 1.6. Where one of the masks has nothing, no distance exists; Dice is 0 there.",
    "Bland-Altman: answer minus truth, one value per patient; limits = bias +- 1.96 sd. Volumes of judged slices only.",
    "Robustness: change of Dice on the same image made worse; seeded. Repeatability: the same image again, and moved "
    "by one pixel along rows and columns.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One series of a patient who was kept out.

    Attributes:
        groups: name of a subgroup -> which.
        volumes: quantity -> (answer, truth): ml per structure, `edv_ml`, `esv_ml`, `ef_percent`.
        robustness: "kind, strength" -> structure -> Dice.
        repeat: see `Inspection`.
    """

    series: str
    patient: str
    groups: Mapping[str, str]
    measures: Measures
    volumes: Mapping[str, Pair] = field(default_factory=dict)
    robustness: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    repeat: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        case: Case,
        measures: Measures,
        found: Mask,
        known: Mask,
        *,
        robustness: Mapping[str, Mapping[str, float]],
        repeat: Mapping[str, float],
    ) -> Finding:
        """What a case's answer and truth tell."""
        volumes = {f"{name}_ml": pair for name, pair in volume_pairs(found, known).items()}
        return cls(
            series=case.series,
            patient=case.patient,
            groups=subgroups_of(case) | {"sequence": case.sequence_class},
            measures=measures,
            volumes=volumes | function_pairs(found, known),
            robustness=robustness,
            repeat=repeat,
        )


@dataclass(frozen=True, slots=True)
class Document:
    """The report; `content` is JSON without NaN."""

    content: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return json.dumps(self.content, sort_keys=True, indent=1, allow_nan=False).encode()


def document(
    plan: ValidationPlan,
    structures: Sequence[str],
    findings: Sequence[Finding],
    worst: Sequence[tuple[float, str]],
) -> Document:
    """Everything that is told.

    Args:
        plan: what was validated.
        structures: of the model.
        findings: per series.
        worst: (mean Dice, series) of the cases that the gallery shows, worst first.
    """
    quantities = list(dict.fromkeys(name for one in findings for name in one.volumes))
    return Document(
        {
            "kind": KIND,
            "version": VERSION,
            "model": {**asdict(plan.model), "structures": list(structures), "learnt_from_known": plan.known},
            "dataset": {
                "digest": plan.dataset,
                "project": plan.project,
                "split": plan.split,
                "patients": len({one.patient for one in findings}),
                "series": len(findings),
            },
            "created_at": plan.created_at,
            "conventions": list(CONVENTIONS),
            "figures": _figures(findings),
            "agreement": {
                name: agreement([(one.patient, one.volumes[name]) for one in findings if name in one.volumes])
                for name in quantities
            },
            "subgroups": _subgroups(findings),
            "worst": [{"series": series, "dice": round(dice, DIGITS)} for dice, series in worst],
            "robustness": _robustness(findings),
            "repeatability": _repeatability(findings),
            "cases": [_case(one) for one in findings],
            "software": {"irp-training": version("irp-training"), "torch": version("torch")},
        }
    )


def in_short(found: Document) -> str:
    """Dice with its interval, per structure, as JSON."""
    content = found.content
    dice = {name: measures["dice"] for name, measures in content["figures"].items() if "dice" in measures}
    return json.dumps({"dice": dice, "dataset": content["dataset"]}, sort_keys=True)


def _figures(findings: Iterable[Finding]) -> dict[str, Any]:
    return intervals((one.patient, one.measures) for one in findings)


def _subgroups(findings: Sequence[Finding]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, which in sorted({pair for one in findings for pair in one.groups.items()}):
        found.setdefault(name, {})[which] = _figures(one for one in findings if one.groups.get(name) == which)
    return found


def _robustness(findings: Sequence[Finding]) -> dict[str, dict[str, Any]]:
    """By kind and strength, then structure: mean change of Dice with its interval; a lost structure has Dice 0."""
    kinds = list(dict.fromkeys(kind for one in findings for kind in one.robustness))
    return {kind: _changes(kind, findings) for kind in kinds}


def _changes(kind: str, findings: Sequence[Finding]) -> dict[str, Any]:
    changes: dict[str, dict[str, list[float]]] = {}
    for one in findings:
        for structure, measures in one.measures.items() if kind in one.robustness else ():
            if "dice" in measures:
                change = one.robustness[kind].get(structure, 0.0) - measures["dice"]
                changes.setdefault(structure, {}).setdefault(one.patient, []).append(change)
    return {structure: interval_json(by_patient) for structure, by_patient in changes.items()}


def _repeatability(findings: Sequence[Finding]) -> dict[str, Any]:
    asked = [one for one in findings if one.repeat]
    moved: dict[str, list[float]] = {}
    for one in asked:
        if "dice_when_moved" in one.repeat:
            moved.setdefault(one.patient, []).append(one.repeat["dice_when_moved"])
    return {
        "cases": len(asked),
        "voxels_differing": sum(int(one.repeat["voxels_differing"]) for one in asked),
        "dice_when_moved": interval_json(moved),
    }


def _case(one: Finding) -> dict[str, Any]:
    return {
        "series": one.series,
        "patient": one.patient,
        "groups": dict(one.groups),
        "measures": {
            name: {key: round(value, DIGITS) for key, value in found.items()} for name, found in one.measures.items()
        },
        "volumes": {name: [round(value, 3) for value in pair] for name, pair in one.volumes.items()},
        "robustness": {
            kind: {name: round(value, DIGITS) for name, value in found.items()}
            for kind, found in one.robustness.items()
        },
        "repeat": dict(one.repeat),
    }

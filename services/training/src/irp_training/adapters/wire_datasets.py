"""Datasets, their rules, and the policy on the wire and back: one function each way."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime

from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.wire import object_ref_to_proto

from irp_training.app.tell_policy import Policy
from irp_training.domain.datasets.composition import Cell
from irp_training.domain.datasets.inclusion import Rules
from irp_training.domain.run import DatasetRow


def rules_from_proto(message: pb.InclusionRules, sequence_classes: Iterable[str] = ()) -> Rules:
    """Message -> Rules, together with classes that were asked for beside them. Raises RulesNotValid."""
    return Rules(
        sequence_classes=(*message.sequence_classes, *sequence_classes),
        verdicts=tuple(message.verdicts),
        least_certainty=message.least_certainty,
        structures=tuple(message.structures),
        sites=tuple(message.sites),
    )


def dataset_to_proto(dataset: DatasetRow, cells: Iterable[Cell] = ()) -> pb.Dataset:
    """DatasetRow, perhaps with its composition -> message."""
    return pb.Dataset(
        digest=dataset.digest,
        manifest=object_ref_to_proto(dataset.manifest),
        training=dataset.training,
        validation=dataset.validation,
        test=dataset.test,
        rules=pb.InclusionRules(**json.loads(dataset.rules or "{}")),
        created_at=dataset.created_at,
        actor=dataset.actor,
        patients=dict(dataset.patients),
        counts=[
            pb.DatasetCount(
                split=cell.part,
                site=cell.site,
                scanner=cell.scanner,
                sequence_class=cell.sequence_class,
                patients=cell.patients,
                series=cell.series,
                judged=cell.judged,
            )
            for cell in cells
        ],
    )


def policy_to_proto(policy: Policy | None) -> pb.TrainingPolicy:
    """Policy -> message; None = nothing is declared."""
    if policy is None:
        return pb.TrainingPolicy()
    wish, schedule = policy.wish, policy.wish.schedule
    minutes = round(schedule.daily_at / 60) if schedule else 0
    return pb.TrainingPolicy(
        declared=True,
        paused=wish.paused,
        model=wish.model,
        base=wish.base,
        after_masks=wish.after_masks,
        masks_since_run=policy.masks_since_run,
        masks_missing=policy.masks_missing,
        every_hours=schedule.every_hours if schedule else 0.0,
        daily_at=f"{minutes // 60:02}:{minutes % 60:02}" if schedule and not schedule.every_hours else "",
        next_at=datetime.fromtimestamp(policy.next_at, UTC).isoformat() if policy.next_at is not None else "",
        least_patients=wish.least_patients,
        patients=policy.patients,
        patients_missing=policy.patients_missing,
        refusal=policy.refusal,
    )

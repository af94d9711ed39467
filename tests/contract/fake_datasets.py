"""Canned answers about frozen datasets and the policy."""

from __future__ import annotations

from typing import Any

from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.auth import caller
from irp_training.domain.errors import DatasetUnknown

from .fake_pages import cut

DIGEST = "3f2a9c11" + "0" * 56


class Datasets:
    """Part of the training room: one dataset, one policy."""

    frozen: pb.CreateDatasetRequest | None = None
    learns = "cine"
    started: pb.StartRunRequest | None = None

    async def CreateDataset(self, request: pb.CreateDatasetRequest, context: Any) -> pb.CreateDatasetResponse:
        caller().require_role("annotator", "owner")
        self.frozen = request
        return pb.CreateDatasetResponse(dataset=a_dataset())

    async def ListDatasets(self, request: pb.ListDatasetsRequest, context: Any) -> pb.ListDatasetsResponse:
        old = pb.Dataset(digest="e" * 64, training=2)
        datasets, following = cut([old, a_dataset()], request)
        return pb.ListDatasetsResponse(datasets=datasets, next=following)

    async def GetDataset(self, request: pb.GetDatasetRequest, context: Any) -> pb.GetDatasetResponse:
        if not DIGEST.startswith(request.digest):
            raise DatasetUnknown
        cell = pb.DatasetCount(
            split="training", site="site-1", scanner="SIEMENS Avanto 1.5 T", sequence_class="cine-sax", patients=2,
            series=3, judged={"lv_blood_pool": 30},
        )  # fmt: skip
        dataset = a_dataset()
        dataset.counts.append(cell)
        return pb.GetDatasetResponse(dataset=dataset, sheet="# Data sheet\n")

    async def GetTrainingPolicy(
        self, request: pb.GetTrainingPolicyRequest, context: Any
    ) -> pb.GetTrainingPolicyResponse:
        policy = pb.TrainingPolicy(
            declared=True, model=self.learns, base="cine", after_masks=5, masks_since_run=3, masks_missing=2,
            daily_at="02:30", next_at="2026-11-28T02:30:00+00:00", patients=7,
        )  # fmt: skip
        return pb.GetTrainingPolicyResponse(policy=policy)


def a_dataset() -> pb.Dataset:
    """Three series of two patients to learn from, one of one to judge by."""
    rules = pb.InclusionRules(verdicts=["good"], structures=["lv_myocardium"])
    patients = {"training": 2, "validation": 1, "test": 0}
    return pb.Dataset(
        digest=DIGEST, training=3, validation=1, test=0, patients=patients, rules=rules, actor="owner",
        created_at="2026-11-27T08:00:00+00:00",
    )  # fmt: skip

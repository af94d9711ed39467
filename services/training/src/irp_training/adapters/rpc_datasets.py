"""Doors to datasets: messages in, verbs called, messages out."""

from __future__ import annotations

from typing import Any

from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.paging import size_of
from irp_chassis.rpc import caller

from irp_training.adapters.desk import Desk, admit
from irp_training.adapters.wire_datasets import dataset_to_proto, policy_to_proto, rules_from_proto


class DatasetDoors(Desk):
    """Frozen datasets, and when a project learns by itself."""

    async def CreateDataset(self, request: pb.CreateDatasetRequest, context: Any) -> pb.CreateDatasetResponse:  # noqa: N802
        """Freeze the accepted masks."""
        project = admit(request.project, "owner", "annotator")
        rules = rules_from_proto(request.rules, request.sequence_classes)
        dataset = await self._do.create_dataset(project, rules, caller().subject)
        return pb.CreateDatasetResponse(dataset=dataset_to_proto(dataset))

    async def ListDatasets(self, request: pb.ListDatasetsRequest, context: Any) -> pb.ListDatasetsResponse:  # noqa: N802
        """A page of a project's frozen datasets, newest last."""
        project = admit(request.project)
        found, after = await self._store.page_of_datasets(project.id, request.after, size_of(request.limit))
        return pb.ListDatasetsResponse(datasets=[dataset_to_proto(one) for one in found], next=after)

    async def GetDataset(self, request: pb.GetDatasetRequest, context: Any) -> pb.GetDatasetResponse:  # noqa: N802
        """One frozen dataset: composition and data sheet."""
        found = await self._do.describe_dataset(admit(request.project), request.digest)
        return pb.GetDatasetResponse(dataset=dataset_to_proto(found.dataset, found.cells), sheet=found.sheet)

    async def GetTrainingPolicy(  # noqa: N802
        self, request: pb.GetTrainingPolicyRequest, context: Any
    ) -> pb.GetTrainingPolicyResponse:
        """When the project learns by itself."""
        policy = await self._do.tell_policy(admit(request.project))
        return pb.GetTrainingPolicyResponse(policy=policy_to_proto(policy))

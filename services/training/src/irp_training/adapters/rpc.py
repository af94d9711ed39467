"""TrainingService on the wire: all its doors."""

from __future__ import annotations

from irp.training.v1 import training_service_pb2_grpc as pb_grpc

from irp_training.adapters.rpc_datasets import DatasetDoors
from irp_training.adapters.rpc_judged import JudgedDoors
from irp_training.adapters.rpc_registry import RegistryDoors
from irp_training.adapters.rpc_runs import RunDoors


class TrainingServicer(DatasetDoors, RunDoors, RegistryDoors, JudgedDoors, pb_grpc.TrainingServiceServicer):
    """See training_service.proto."""

"""Where containers run: in the cluster, where a namespace for them is named, or by the runtime of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from irp_chassis import Room

from irp_training.adapters.container_runtime import OciRuntime, find_runtime
from irp_training.adapters.kubernetes_runtime import Cluster, KubernetesRuntime
from irp_training.app.container_ports import Runtime

CLUSTER_API = "https://kubernetes.default.svc"
CLUSTER_FILES = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # a projected volume of the Deployment


def runtime_of(room: Room[Any]) -> Runtime:
    """As the room's settings say."""
    told = room.settings
    if not told.container_namespace:
        return OciRuntime(room.objects, find_runtime(told.container_runtime), told.container_scratch_dir)
    cluster = Cluster(
        address=CLUSTER_API,
        token=CLUSTER_FILES / "token",
        authority=CLUSTER_FILES / "ca.crt",
        namespace=told.container_namespace,
        carrier=told.container_carrier_image,
        storage_class=told.container_storage_class,
    )
    return KubernetesRuntime(room.objects, cluster)

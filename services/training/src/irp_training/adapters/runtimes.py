"""Where containers run: in the cluster, where a namespace for them is named, or by the runtime of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog
from irp_chassis import Room
from irp_kernel.errors import IrpError

from irp_training.adapters.container_runtime import OciRuntime, find_runtime
from irp_training.adapters.kubernetes_runtime import Cluster, KubernetesRuntime
from irp_training.adapters.scratch import Scratch
from irp_training.app.container_ports import Runtime

CLUSTER_API = "https://kubernetes.default.svc"
CLUSTER_FILES = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # a projected volume of the Deployment

_log = structlog.get_logger()


def runtime_of(room: Room[Any], scratch: Scratch) -> Runtime:
    """As the room's settings say; what killed processes left behind is removed as the room begins."""
    told = room.settings
    if not told.container_namespace:
        runtime = OciRuntime(room.objects, find_runtime(told.container_runtime), scratch)
        room.spawn(_sweeping(scratch.sweep_archives, runtime.sweep))
        return runtime
    room.spawn(_sweeping(scratch.sweep_archives))
    cluster = Cluster(
        address=CLUSTER_API,
        token=CLUSTER_FILES / "token",
        authority=CLUSTER_FILES / "ca.crt",
        namespace=told.container_namespace,
        carrier=told.container_carrier_image,
        storage_class=told.container_storage_class,
    )
    return KubernetesRuntime(room.objects, cluster)


def _sweeping(*sweeps: Callable[[], Awaitable[None]]) -> Callable[[asyncio.Event], Coroutine[Any, Any, None]]:
    async def once(stop: asyncio.Event) -> None:
        for sweep in sweeps:
            try:
                await sweep()
            except (IrpError, OSError) as error:  # the room lives on: the next run of a container sweeps, too
                _log.error("containers_not_swept", error=type(error).__name__)

    return once

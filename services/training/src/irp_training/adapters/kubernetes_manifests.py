"""What a run of a container is in a cluster: a volume, and three Jobs one after the other.

`fetch` lays the input out, `algorithm` is the container, `collect` sends what it left. Only the carriers have a
network: a NetworkPolicy of the namespace refuses everything to pods of the role `algorithm`
(deploy/k8s/overlays/containers).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from irp_training.adapters.carrier import FOLDER
from irp_training.adapters.container_files import INPUT, MODEL, OUTPUT
from irp_training.domain.containers.limits import Limits

Document = dict[str, Any]
Role = Literal["fetch", "algorithm", "collect"]
ROLES: tuple[Role, ...] = ("fetch", "algorithm", "collect")
PART = "irp.openirp.org"  # prefix of labels
VOLUME, MOUNT = "work", "/work"
CARRIER_S = 1800  # that a carrier may work
WAITING_S = 1800  # that a Job may wait for a node and its image, beside the time that it may work
STAYS_S = 600  # a Job that nobody removed goes by itself
CARRIER_USER = 10001
RESERVE_MB = 64  # of the volume, beside input and output


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One run.

    Attributes:
        name: of everything that belongs to it.
        key: label by which what an earlier try left is found.
        image: of the container, by digest.
        carrier: image of the training room.
        fetch_from: address of the input.
        send_to: address for the output.
        directory: below /output, where the mask goes.
        input_bytes: of the input.
        model_from: address of the weights; empty = there are none.
        model_bytes: that they unpack to.
        storage_class: of the volume; empty = the cluster's own.
    """

    name: str
    key: str
    image: str
    carrier: str
    fetch_from: str
    send_to: str
    directory: str
    input_bytes: int
    limits: Limits
    model_from: str = ""
    model_bytes: int = 0
    storage_class: str = ""


def claim(parcel: Parcel) -> Document:
    """The volume: as large as input and output together may be."""
    # Input and weights lie there packed only while they are unpacked.
    size_mb = (2 * (parcel.input_bytes + parcel.model_bytes) >> 20) + parcel.limits.output_mb + RESERVE_MB
    spec: Document = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{size_mb}Mi"}},
    }
    if parcel.storage_class:
        spec["storageClassName"] = parcel.storage_class
    metadata = {"name": parcel.name, "labels": _labels(parcel)}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def time_limit_s(parcel: Parcel, role: Role) -> int:
    """Seconds from the start of its container: what a queue or a registry takes is nobody's fault."""
    return parcel.limits.time_s if role == "algorithm" else CARRIER_S


def job(parcel: Parcel, role: Role) -> Document:
    """One of the three; its deadline, which counts from when it is made, is for the case that nobody looks any more."""
    container = _algorithm(parcel) if role == "algorithm" else _carrier(parcel, role)
    labels = _labels(parcel) | {f"{PART}/role": role}
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _pod_security(role),
        "containers": [container],
        "volumes": [
            {"name": VOLUME, "persistentVolumeClaim": {"claimName": parcel.name}},
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": f"{parcel.limits.scratch_mb}Mi"}},
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{parcel.name}-{role}", "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": time_limit_s(parcel, role) + WAITING_S,
            "ttlSecondsAfterFinished": STAYS_S,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _pod_security(role: Role) -> Document:
    """Nobody is root; carriers are who the platform's pods are, the container is who its image says."""
    security: Document = {
        "runAsNonRoot": True,
        "fsGroup": CARRIER_USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return security if role == "algorithm" else security | {"runAsUser": CARRIER_USER, "runAsGroup": CARRIER_USER}


def _algorithm(parcel: Parcel) -> Document:
    limits = parcel.limits
    resources = {"cpu": str(limits.cpus), "memory": f"{limits.memory_mb}Mi"}
    environment = {
        "LOG_LEVEL": "INFO",
        "PYTHONUNBUFFERED": "1",
        "GRAND_CHALLENGE_COMPONENT_MAX_MEMORY_MB": str(limits.memory_mb),
        "OMP_NUM_THREADS": str(limits.cpus),
    }
    mounts: list[Document] = [
        {"name": VOLUME, "mountPath": "/input", "subPath": f"{FOLDER}/{INPUT}", "readOnly": True},
        {"name": VOLUME, "mountPath": "/output", "subPath": f"{FOLDER}/{OUTPUT}"},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
    ]
    if parcel.model_from:
        model = {"name": VOLUME, "mountPath": "/opt/ml/model", "subPath": f"{FOLDER}/{MODEL}", "readOnly": True}
        mounts.append(model)
    return _container("algorithm", parcel.image, environment, mounts, resources)


def _carrier(parcel: Parcel, role: Role) -> Document:
    environment = {
        "IRP_PARCEL_ADDRESS": parcel.fetch_from if role == "fetch" else parcel.send_to,
        "IRP_PARCEL_VOLUME": MOUNT,
        "IRP_PARCEL_DIRECTORY": parcel.directory,
        "IRP_PARCEL_LIMIT": str(parcel.limits.output_mb << 20),
    }
    if role == "fetch" and parcel.model_from:
        environment |= {"IRP_PARCEL_MODEL": parcel.model_from, "IRP_PARCEL_MODEL_LIMIT": str(parcel.model_bytes)}
    mounts = [{"name": VOLUME, "mountPath": MOUNT}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - its own
    # It packs in memory: twice what it carries, and the interpreter.
    memory_mb = 512 + 2 * max(parcel.input_bytes >> 20, parcel.limits.output_mb)
    resources = {"cpu": "1", "memory": f"{memory_mb}Mi"}
    command = ["python", "-m", "irp_training.adapters.carrier", role]
    return _container(role, parcel.carrier, environment, mounts, resources) | {"command": command}


def _container(
    name: str, image: str, environment: dict[str, str], mounts: list[Document], resources: dict[str, str]
) -> Document:
    return {
        "name": name,
        "image": image,
        "env": [{"name": key, "value": value} for key, value in environment.items()],
        "volumeMounts": mounts,
        "resources": {"requests": resources, "limits": resources},
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _labels(parcel: Parcel) -> dict[str, str]:
    return {"app.kubernetes.io/part-of": "openirp-containers", f"{PART}/key": parcel.key, f"{PART}/run": parcel.name}

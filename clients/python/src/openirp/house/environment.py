"""What each room is told by `IRP_*` variables when it starts on this machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from openirp.house.keys import Keys
from openirp.house.layout import ROOMS, Layout
from openirp.house.ports import LOOPBACK, Ports

DATABASE = "sqlite+aiosqlite:///{path}"


def room_environment(
    room: str, layout: Layout, keys: Keys, ports: Ports, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Every variable of one room; `extra` wins over all, the caller's own `IRP_*` tuning is inherited beside it."""
    told = _shared(room, layout, keys, ports)
    if room == "gateway":
        told |= _gateway(keys, ports)
    elif room == "ingest":
        told |= {
            "IRP_INSTALLATION_KEY_FILE": str(keys.installation_key),
            "IRP_DICOM_BIND": f"{LOOPBACK}:{ports['dicom']}",
        }
    elif room == "inference":
        told |= {
            "IRP_OIP_BIND": f"{LOOPBACK}:{ports['oip']}",
            "IRP_OIP_HTTP_BIND": f"{LOOPBACK}:{ports['oip_http']}",
            "IRP_ENGINE_CACHE": str(layout.data / "engines"),
            "IRP_MODEL_KEYS_FILE": str(keys.model_keys),
        }
    elif room == "training":
        told |= {"IRP_TRAINING_CACHE_DIR": str(layout.data / "training-cases")}
        told |= {"IRP_MODEL_KEY_FILE": str(keys.model_key)}
        told |= {"IRP_SHIPPED_MODELS_DIR": str(shipped)} if (shipped := models_folder()) else {}
    return {**told, **(extra or {})}


def _shared(room: str, layout: Layout, keys: Keys, ports: Ports) -> dict[str, str]:
    return {
        "IRP_RPC_BIND": f"{LOOPBACK}:{ports[f'{room}_rpc']}",
        "IRP_HTTP_BIND": f"{LOOPBACK}:{ports[door_of(room)]}",
        "IRP_DATABASE_URL": os.environ.get(f"IRP_{room.upper()}_DATABASE_URL")
        or DATABASE.format(path=layout.database(room)),
        "IRP_NATS_URL": f"nats://{LOOPBACK}:{ports['nats']}",
        "IRP_NATS_USER": room,
        "IRP_NATS_PASSWORD": keys.nats[room],
        "IRP_S3_ENDPOINT": f"{LOOPBACK}:{ports['s3']}",
        "IRP_S3_ACCESS_KEY": keys.s3_access,
        "IRP_S3_SECRET_KEY": keys.s3_secret,
        "IRP_S3_SECURE": "false",
        "IRP_AUTH_PUBLIC_KEY_FILE": str(keys.public_key),
        "IRP_TRACE_FILE": str(layout.logs / f"{room}.traces.jsonl"),
        # One thread per library call: seven rooms share the cores; rooms that compute say how many they take.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or _threads(room),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", ""),
    }


def _gateway(keys: Keys, ports: Ports) -> dict[str, str]:
    rooms = {f"IRP_{room.upper()}_ADDRESS": f"{LOOPBACK}:{ports[f'{room}_rpc']}" for room in ROOMS if room != "gateway"}
    return rooms | {
        "IRP_AUTH_PRIVATE_KEY_FILE": str(keys.private_key),
        "IRP_BOOTSTRAP_TOKEN_SHA256": hashlib.sha256(keys.token.encode()).hexdigest(),
        "IRP_OIP_ADDRESS": f"{LOOPBACK}:{ports['oip']}",
        "IRP_OIP_HTTP_ADDRESS": f"{LOOPBACK}:{ports['oip_http']}",
        "IRP_PUBLIC_URL": f"http://{LOOPBACK}:{ports['gateway']}",
    }


def door_of(room: str) -> str:
    """Name of the port where a room answers /readyz."""
    return "gateway" if room == "gateway" else f"{room}_http"


def _threads(room: str) -> str:
    cores = len(os.sched_getaffinity(0))
    return str(cores) if room in {"training", "inference"} else "1"


def models_folder() -> Path | None:
    """Folder of the model bundles that come with the project: `IRP_MODELS`, else `models` beside the sources."""
    folders = [Path(os.environ["IRP_MODELS"])] if os.environ.get("IRP_MODELS") else []
    folders += [parent / "models" for parent in Path(__file__).resolve().parents]
    return next((folder.resolve() for folder in folders if any(folder.glob("*.zip"))), None)

"""nats-server's configuration: JetStream on disk, and one user per room that may publish only its own stream."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from openirp.house.layout import ROOMS
from openirp.house.ports import LOOPBACK

FILE_STORE_BYTES = 16 << 30  # bytes; every room's stream reserves its own bound (1 GiB) of this
MAX_PAYLOAD_BYTES = 1 << 20  # facts hold references, never bytes


def nats_config(store: Path, port: int, passwords: dict[str, str], version: tuple[int, int]) -> str:
    """The file's text (nats-server reads JSON).

    Args:
        store: folder of the streams.
        port: client port on the loopback address.
        passwords: password of each room's user.
        version: of the server: 2.9 does not know the sync setting.
    """
    jetstream: dict[str, Any] = {"store_dir": str(store), "max_mem": 64 << 20, "max_file": FILE_STORE_BYTES}
    if version >= (2, 10):
        # The house publishes a few facts per second: each is on disk before it is acknowledged.
        jetstream["sync_interval"] = "always"
    users = [{"user": room, "password": passwords[room], "permissions": permissions(room)} for room in ROOMS]
    config = {
        "server_name": "openirp",
        "listen": f"{LOOPBACK}:{port}",
        "max_payload": MAX_PAYLOAD_BYTES,
        "jetstream": jetstream,
        "authorization": {"users": users},
    }
    return json.dumps(config, indent=2)


def permissions(room: str) -> dict[str, Any]:
    """What a room may say: its own facts, its own stream, and its consumers of the other streams."""
    stream = f"IRP_{room.upper()}"
    publish = [
        f"irp.{room}.>",
        "$JS.API.INFO",
        f"$JS.API.STREAM.CREATE.{stream}",
        f"$JS.API.STREAM.UPDATE.{stream}",
        "$JS.API.STREAM.INFO.*",
        "$JS.API.STREAM.NAMES",
        "$JS.API.CONSUMER.CREATE.>",
        "$JS.API.CONSUMER.DURABLE.CREATE.>",
        "$JS.API.CONSUMER.INFO.>",
        "$JS.API.CONSUMER.DELETE.>",
        "$JS.API.CONSUMER.MSG.NEXT.>",
        "$JS.ACK.>",
    ]
    return {"publish": {"allow": publish}, "subscribe": {"allow": ["_INBOX.>"]}}

"""Writes who may say and hear what on NATS, from the facts that the protos declare.

Each room publishes its own stream only; it reads through its own durables, and, of streams with broadcast facts,
through ephemeral consumers. `--check` writes nothing and fails if the file is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from irp_chassis.facts import ROOMS, every_fact, stream_of

TARGET = Path(__file__).parents[1] / "deploy/k8s/components/nats/users.conf"
HEAD = "# Written from the protos by `make docs`: do not edit.\nauthorization {\n  users: [\n"
ASKS = ("INFO", "CREATE", "DURABLE.CREATE", "MSG.NEXT")


def may_publish(room: str) -> list[str]:
    """Subjects that a room may publish to, JetStream's requests included."""
    own = stream_of(room)
    subjects = [f"irp.{room}.v1.>", *(f"$JS.API.STREAM.{verb}.{own}" for verb in ("INFO", "CREATE", "UPDATE"))]
    for kind in every_fact():
        if room in kind.readers:
            consumer = f"{kind.stream}.{kind.durable(room)}"
            subjects += [f"$JS.API.CONSUMER.{ask}.{consumer}" for ask in ASKS]
            subjects += [f"$JS.API.CONSUMER.CREATE.{consumer}.>", f"$JS.ACK.{consumer}.>"]
    for stream in sorted({kind.stream for kind in every_fact() if kind.broadcast}):
        subjects += [f"$JS.API.CONSUMER.{ask}.{stream}.*" for ask in ASKS]
        subjects += [f"$JS.API.CONSUMER.CREATE.{stream}", f"$JS.API.CONSUMER.CREATE.{stream}.*.>"]
    return list(dict.fromkeys(subjects))


def users_conf() -> str:
    """The text of users.conf."""
    text = HEAD
    for room in ROOMS:
        subjects = "".join(f'        "{subject}"\n' for subject in may_publish(room))
        text += (
            f"    {{\n      user: {room}\n      password: $IRP_NATS_PASSWORD_{room.upper()}\n      permissions: {{\n"
            f'        subscribe: ["_INBOX.>"]\n        publish: [\n{subjects}        ]\n      }}\n    }}\n'
        )
    return text + "  ]\n}\n"


def main() -> int:
    """Write the file, or compare it with `--check`."""
    text = users_conf()
    if "--check" in sys.argv:
        if TARGET.read_text() != text:
            print(f"{TARGET} is out of date: run `make docs` and commit it", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

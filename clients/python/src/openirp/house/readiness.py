"""Looks whether parts and rooms are ready: a port that answers, or /readyz."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from openirp.house.environment import door_of
from openirp.house.layout import PARTS
from openirp.house.ports import LOOPBACK, Ports

LOOK_S = 6.0  # seconds that one look may take


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a process saw.

    Attributes:
        name: process.
        ready: it takes work.
        said: "ready", "degraded", "not ready: PART REASON", "no answer".
    """

    name: str
    ready: bool
    said: str


def look_at_all(ports: Ports, processes: Sequence[str]) -> list[Look]:
    """Look at every process at once."""
    with ThreadPoolExecutor(len(processes)) as pool:
        return list(pool.map(lambda name: look_at(name, ports), processes))


def look_at(name: str, ports: Ports) -> Look:
    """Look at one part or room."""
    if name in PARTS:
        answers = _answers(ports[name])
        return Look(name, answers, "ready" if answers else "no answer")
    try:
        answer = httpx.get(f"http://{LOOPBACK}:{ports[door_of(name)]}/readyz", timeout=LOOK_S, trust_env=False)
        body = answer.json()
    except (httpx.HTTPError, ValueError):
        return Look(name, False, "no answer")
    missing = [f"{part} {state}" for part, state in body.get("parts", {}).items() if state != "ok"]
    said = str(body.get("status", "no answer"))
    return Look(name, answer.status_code == httpx.codes.OK, f"{said}: {', '.join(missing)}" if missing else said)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0

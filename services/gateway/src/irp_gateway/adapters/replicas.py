"""The replicas of a room, each on a line of its own, so that a series can go where it is known already.

gRPC's channels take turns. Its own hashing policy (`ring_hash`) needs an xDS control plane, or an experimental switch,
and knows nothing of a replica that is full (docs/adr/0039).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import structlog
from irp_chassis.rpc import RpcClient

from irp_gateway.domain.rendezvous import ranked

LOOK_S = 5.0  # after which names are resolved anew: as long as cluster DNS remembers
RETIRED_S = 330.0  # a replica that has left ends its calls; the longest takes 300 s
MOST = 64  # replicas of a room that get a line of their own
TRIES = 2  # replicas that are asked for one series
STATIC = ("ipv4:", "ipv6:")  # gRPC's own words for lists of addresses


class Connected(Protocol):
    """A line to one replica."""

    @property
    def client(self) -> RpcClient:
        """Its channel."""
        ...


L = TypeVar("L", bound=Connected)


class Replicas(Generic[L]):
    """Follows the addresses behind one name. Where there is one, or none is known yet, nobody is near anything."""

    def __init__(self, address: str, connect: Callable[[str], L]) -> None:
        self._address, self._connect = address, connect
        self._lines: dict[str, L] = {}
        self._seen: dict[str, float] = {}  # monotonic seconds at which each was last named
        self._present: frozenset[str] = frozenset()
        self._log = structlog.get_logger(part="replicas")

    def near(self, key: str) -> list[L]:
        """Lines to replicas that are there and say that they serve: the one that the key belongs to, and the next."""
        there = [name for name in self._present if self._lines[name].client.is_ready]
        return [self._lines[name] for name in ranked(key, there)[:TRIES]] if len(self._present) > 1 else []

    async def follow(self, stopping: asyncio.Event) -> None:
        """Look again and again, until told to stop."""
        while not stopping.is_set():
            await self.look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), LOOK_S)

    async def look(self) -> None:
        """Resolve the name once. What cannot be resolved now is where it was."""
        try:
            async with asyncio.timeout(LOOK_S):
                found = await addresses_of(self._address)
        except OSError as error:  # a time-out is one, too
            self._log.warning("replicas_not_resolved", kind=type(error).__name__)
            return
        await self.set(found)

    async def set(self, found: frozenset[str]) -> None:
        """From now on these are the replicas."""
        now, found = time.monotonic(), frozenset(sorted(found)[:MOST])
        if len(found) > 1:
            for name in found - self._lines.keys():
                self._lines[name] = self._connect(name)
            for name in found:
                self._seen[name] = now
                _ = self._lines[name].client.is_ready  # begins to connect
        if found != self._present:
            self._log.info("replicas", count=len(found))
        self._present = found & self._lines.keys()
        for name in [name for name, seen in self._seen.items() if name not in found and seen + RETIRED_S < now]:
            del self._seen[name]
            await self._lines.pop(name).client.close()

    async def close(self) -> None:
        """Hang up."""
        self._present = frozenset()
        for line in self._lines.values():
            await line.client.close()


async def addresses_of(address: str) -> frozenset[str]:
    """Every host:port behind an address, of one family of the Internet protocol: one replica is not to count twice.

    Args:
        address: "host:port", "dns:///host:port", or "ipv4:HOST:PORT,HOST:PORT" (gRPC's names).

    Raises:
        OSError: the name cannot be resolved.
    """
    if address.startswith(STATIC):
        return frozenset(address.partition(":")[2].lstrip("/").split(","))
    host, _, port = address.rpartition("/")[2].rpartition(":")
    found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    old = {str(where[0]) for family, *_, where in found if family is socket.AF_INET}
    new = {f"[{where[0]!s}]" for family, *_, where in found if family is socket.AF_INET6}
    return frozenset(f"{one}:{port}" for one in old or new)

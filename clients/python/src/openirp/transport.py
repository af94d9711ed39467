"""HTTP with the house's habits: bearer token, problems raised, patience while a server restarts, server-sent events."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any

import httpx

from openirp.problem import Problem, looking

CONNECT_S, SPARE_S = 5.0, 15.0


def within(gateway_s: float) -> httpx.Timeout:
    """For what the gateway waits so long for: it has the first word on what took too long."""
    return httpx.Timeout(gateway_s + SPARE_S, connect=CONNECT_S)


ROOM = within(60.0)  # what a room is asked for, if nothing else is said
FREEZING = within(120.0)  # datasets, rankings, exports
GATE = within(300.0)  # models: taken in, compared, loaded
STRANGER = 6  # repetitions, a quarter of a minute, at an address that never answered: it may be the wrong one
FRIEND = 16  # repetitions, a minute, at one that did: it restarts, or a room of it loads models
PAUSE_S, LONGEST_PAUSE_S = 0.5, 4.0  # before the second attempt; doubled each time
LOOK_S = 1.0  # between two looks at work that goes on
MEASURING = "measuring"
AGAIN = frozenset({429, 502, 503, 504})
LATE = 504


class Transport:
    """One connection pool to one gateway.

    Args:
        url: the gateway's address.
        token: bearer token.
        app: an httpx transport instead of the network, for tests.
    """

    def __init__(self, url: str, token: str, app: httpx.BaseTransport | None = None) -> None:
        self.url, self.token = url.rstrip("/"), token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._heard = False
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=ROOM, transport=app, trust_env=False)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get(
        self, path: str, *, accept: str = "application/json", timeout: httpx.Timeout = ROOM, **params: Any
    ) -> httpx.Response:
        """GET; repeated while the server is away."""
        return self.send("GET", path, headers={"Accept": accept}, params=_told(params), timeout=timeout)

    def send(
        self, method: str, path: str, *, repeat: bool | None = None, look: str = "", **arguments: Any
    ) -> httpx.Response:
        """Send a request.

        Args:
            method: HTTP method.
            path: below the gateway's address.
            repeat: try again when nobody is there or 429/502/503/504; default: GET, PUT and DELETE.
            look: for what takes long: where to look for what becomes of it. It is not asked for again when it is late,
                for each time it would begin anew.
            arguments: as for httpx.

        Raises:
            Problem: any error status, no answer, or none yet.
        """
        again = AGAIN - {LATE} if look else AGAIN
        may_repeat = repeat if repeat is not None else method in {"GET", "PUT", "DELETE"}
        for attempt in itertools.count():
            try:
                answer = self._http.request(method, path, **arguments)
            except httpx.ReadTimeout as error:
                raise Problem.working(error, look) from None
            except httpx.TransportError as error:
                if not may_repeat or attempt >= self._patience:
                    raise Problem.silence(self.url, error) from None
            else:
                self._heard = True
                if answer.status_code < httpx.codes.BAD_REQUEST:
                    return answer
                if not may_repeat or answer.status_code not in again or attempt >= FRIEND:
                    raise _problem(answer, look)
            time.sleep(_pause_s(attempt))
        raise AssertionError  # an attempt returns or raises

    @property
    def _patience(self) -> int:
        return FRIEND if self._heard else STRANGER

    def json(self, method: str, path: str, body: Any = None, **arguments: Any) -> Any:
        """Send JSON, read JSON."""
        if body is not None:
            arguments["json"] = body
        answer = self.send(method, path, **arguments)
        return answer.json() if answer.content else None

    def items(self, path: str, key: str = "items", **params: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list that pages with a cursor."""
        cursor = ""
        while True:
            page = self.get(path, cursor=cursor or None, **params).json()
            yield from page[key]
            cursor = page.get("next_cursor") or page.get("next") or ""
            if not cursor:
                return

    def until_measured(
        self, path: str, again: Callable[[dict[str, Any]], str] | None = None, **arguments: Any
    ) -> Iterator[dict[str, Any]]:
        """What becomes of a promotion, until the gate has measured: each ask joins the measuring that goes on.

        Args:
            path: where it is asked for.
            again: what was answered -> where it is asked for from then on; None = there again.
            arguments: as for `json`.
        """
        while True:
            said = dict(self.json("POST", path, repeat=True, **arguments))
            yield said
            if said["state"] != MEASURING:
                return
            path = again(said) if again else path
            time.sleep(LOOK_S)

    def watch(self, path: str, ended: Container[str]) -> Iterator[dict[str, Any]]:
        """What lies there, each second, until its `state` is one of these."""
        while True:
            said = dict(self.json("GET", path))
            yield said
            if said["state"] in ended:
                return
            time.sleep(LOOK_S)

    def events(self, path: str, *, ended: Callable[[dict[str, Any]], bool]) -> Iterator[dict[str, Any]]:
        """Server-sent events as JSON objects until `ended` says so; reconnects when the line breaks or a room restarts.

        Raises:
            Problem: the gateway refuses, or stays away.
        """
        failures = 0
        while True:
            try:
                for event in self._listen(path):
                    failures = 0
                    yield event
                    if ended(event):
                        return
            except httpx.TransportError as error:
                if failures >= self._patience:
                    raise Problem.silence(self.url, error) from None
            except Problem as problem:
                if problem.status not in AGAIN or failures >= FRIEND:
                    raise
            time.sleep(_pause_s(failures))
            failures += 1

    def _listen(self, path: str) -> Iterator[dict[str, Any]]:
        headers = {"Accept": "text/event-stream"}
        with self._http.stream("GET", path, headers=headers) as answer:
            if answer.status_code >= httpx.codes.BAD_REQUEST:
                answer.read()
                raise Problem.of(answer)
            data: list[str] = []
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    data.append(line[5:].removeprefix(" "))
                elif not line and data:
                    yield json.loads("\n".join(data))
                    data = []


def _problem(answer: httpx.Response, look: str) -> Problem:
    problem = Problem.of(answer)
    if look and problem.status == LATE:
        problem.advice = looking(look)
    return problem


def _pause_s(failures: int) -> float:
    return min(PAUSE_S * 2.0**failures, LONGEST_PAUSE_S)


def _told(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}

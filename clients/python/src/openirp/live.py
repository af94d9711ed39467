"""The live door: slices while a reader scrolls, over one WebSocket."""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from openirp.problem import Problem

CONNECT_S = 10.0
RESTART = 1012  # the gateway restarts: connect again
MAX_BYTES = 512 << 20  # of one answer: a frame of a large series


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveAnswer:
    """What was heard of an ask.

    Attributes:
        type: "answer", "part", "problem" or "dropped"; all but "part" are the end of their ask.
        id: of the ask.
        header: everything that was said.
        labels: uint8 (frame, slice, row, column), or None where none were sent.
    """

    type: str
    id: str
    header: dict[str, Any] = field(repr=False)
    labels: NDArray[np.uint8] | None = field(repr=False, default=None)

    @property
    def ends(self) -> bool:
        """Whether nothing more comes for this ask."""
        return self.type != "part"


class Live:
    """One session; asks may be sent by one thread while another reads answers.

    Example:
        with project.live() as live:
            live.ask(uid, "cine", slice=4)
            for answer in live.answers(): ...
    """

    def __init__(self, url: str, token: str, project: str) -> None:
        address = f"{url.replace('http', 'ws', 1)}/api/v1/projects/{project}/live"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._ids = itertools.count()
        self._open: set[str] = set()
        try:
            self._socket: ClientConnection = connect(
                address, additional_headers=headers, open_timeout=CONNECT_S, max_size=MAX_BYTES, proxy=None
            )
        except InvalidStatus as refused:
            raise _problem(refused) from None
        except (OSError, TimeoutError) as error:
            raise Problem(
                0, {"reason": "NO_ANSWER", "title": f"{url} does not answer: {type(error).__name__}"}
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def ask(
        self,
        series: str,
        model: str | None = None,
        *,
        slice: int | None = None,
        frame: int | None = None,
        algorithm: dict[str, Any] | None = None,
        prompts: dict[str, Any] | None = None,
        options: dict[str, bool] | None = None,
        answer: Sequence[str] = ("labels",),
        keep: bool = False,
        ahead: bool = True,
        deadline_s: float | None = None,
    ) -> str:
        """Ask for a slice, for what is marked, or (neither) for the whole series, frame by frame; the ask's id.

        Args:
            series: SeriesInstanceUID.
            model: "name" or "name@version"; or `algorithm`.
            slice: counts from 0.
            frame: counts from 0; None = the first, or all of a whole series.
            algorithm: {"name": "graph-cut", "structure": "scar", ...} in the model's place; with "volume": True, and
                no slice, every slice of the marked frames comes, as parts.
            prompts: {"clicks": [...], "boxes": [...], "scribbles": [...]}: what a reader marked.
            options: {"test_time_augmentation": True, "estimate": True, "uncertainty": True}: of a model's answer.
            answer: "labels", "contours".
            keep: answer it even if other asks follow.
            ahead: let neighbouring slices be computed.
            deadline_s: after which nobody wants the answer, at most 60; None = the server's, which only slices have.
        """
        name = f"a{next(self._ids)}"
        self._open.add(name)
        self._send(
            {
                "type": "segment",
                "id": name,
                "series": series,
                "model": model,
                "slice": slice,
                "frame": frame,
                "algorithm": algorithm,
                "prompts": prompts,
                "options": options or {},
                "answer": list(answer),
                "keep": keep,
                "ahead": ahead,
                "deadline_s": deadline_s,
            }
        )
        return name

    def cancel(self, id: str) -> None:
        """Take an ask back."""
        self._send({"type": "cancel", "id": id})

    def next(self, timeout_s: float | None = None) -> LiveAnswer:
        """The next thing that is said.

        Raises:
            TimeoutError: nothing was, in time.
            Problem: the session is closed; reason GATEWAY_RESTARTS = connect again.
        """
        try:
            header = json.loads(self._socket.recv(timeout_s))
            data = self._socket.recv(timeout_s) if header.get("bytes") else b""
        except ConnectionClosed as closed:
            raise _closed(closed) from None
        heard = LiveAnswer(type=header["type"], id=header["id"] or "", header=header, labels=_labels(header, data))
        if heard.ends:
            self._open.discard(heard.id)
        return heard

    def answers(self) -> Iterator[LiveAnswer]:
        """Everything that is said until every ask has ended."""
        while self._open:
            yield self.next()

    def close(self) -> None:
        """Leave; nothing more is computed for this session."""
        self._socket.close()

    def _send(self, frame: dict[str, Any]) -> None:
        try:
            self._socket.send(json.dumps(frame))
        except ConnectionClosed as closed:
            raise _closed(closed) from None


def _labels(header: dict[str, Any], data: bytes | str) -> NDArray[np.uint8] | None:
    if not isinstance(data, bytes) or not data:
        return None
    shape = (len(header["frames"]), len(header["slices"]), header["rows"], header["columns"])
    inflater = zlib.decompressobj()
    return np.frombuffer(inflater.decompress(data, int(np.prod(shape))), dtype=np.uint8).reshape(shape)


def _problem(refused: InvalidStatus) -> Problem:
    try:
        body = json.loads(refused.response.body or b"")
    except ValueError:
        body = {"title": "The live door refuses"}
    return Problem(refused.response.status_code, body if isinstance(body, dict) else {})


def _closed(closed: ConnectionClosed) -> Problem:
    code = closed.rcvd.code if closed.rcvd else 0
    reason = "GATEWAY_RESTARTS" if code == RESTART else "LIVE_CLOSED"
    advice = "Connect again." if code in {0, RESTART} else "docs/how-to/live.md says what the code means."
    return Problem(0, {"reason": reason, "title": f"The live session was closed ({code})", "advice": advice})

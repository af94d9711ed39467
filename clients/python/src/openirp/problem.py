"""An error answer of the gateway (RFC 9457), as an exception with words for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx


class Problem(Exception):
    """The gateway refused, or did not answer.

    Attributes:
        status: HTTP status; 0 = no answer.
        reason: machine-readable reason, e.g. "UNKNOWN_MODEL".
        title: what happened, in one line.
        detail: the particulars.
        advice: what to do about it.
        trace_id: to find the request in the logs.
        body: the whole answer.
        headers: of the answer, names in lower case.
    """

    def __init__(self, status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
        self.status, self.body, self.headers = status, body, headers or {}
        self.reason = str(body.get("reason") or status)
        self.title = str(body.get("title") or f"HTTP {status}")
        self.detail = str(body.get("detail") or "")
        self.advice = str(body.get("advice") or "")
        self.trace_id = str(body.get("trace_id") or "")
        super().__init__(f"{self.title}: {self.detail}" if self.detail else self.title)

    @classmethod
    def of(cls, answer: httpx.Response) -> Problem:
        """From an answer with an error status, whatever its form."""
        try:
            body = answer.json()
        except ValueError:
            body = {}
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return cls(answer.status_code, body if isinstance(body, dict) else {}, headers)

    @classmethod
    def working(cls, error: httpx.ReadTimeout, look: str) -> Problem:
        """From a request that was taken and not answered in time; `look`: where to look for what becomes of it."""
        body = {
            "reason": "STILL_WORKING",
            "title": "No answer yet: it is still working",
            "detail": f"{error.request.method} {error.request.url.path}",
            "advice": looking(look),
        }
        return cls(0, body)

    @classmethod
    def silence(cls, url: str, error: httpx.TransportError) -> Problem:
        """From a request that got no answer."""
        body = {
            "reason": "NO_ANSWER",
            "title": f"Nothing answers at {url}",
            "detail": type(error).__name__,
            "advice": "Start the house with `irp up`, or set IRP_URL and IRP_TOKEN.",
        }
        return cls(0, body)


def looking(look: str) -> str:
    """What to do about work that goes on without us."""
    return (
        f"It goes on. Look again with {look}." if look else "It goes on. Look at what came of it before asking again."
    )

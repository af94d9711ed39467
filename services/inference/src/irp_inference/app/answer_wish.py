"""Whoever answers a wish: a version of a model, or the method that stands in its place."""

from __future__ import annotations

from irp_inference.app.ports import Ticket
from irp_inference.app.segment_series import Answer, Segments, Wish


class AnswerWish:
    """See Segments."""

    def __init__(self, model: Segments, method: Segments) -> None:
        self._model, self._method = model, method

    async def __call__(self, wish: Wish, ticket: Ticket) -> Answer:
        """The answer; raises as the one that gives it."""
        return await (self._model if wish.method is None else self._method)(wish, ticket)

"""What can go wrong while a house stands up, in words for the person at the keyboard."""

from __future__ import annotations


class HouseTrouble(Exception):
    """The house could not do what was asked; the text says why and what to do.

    Attributes:
        advice: what to do about it, or empty.
    """

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(what)
        self.advice = advice

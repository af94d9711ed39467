"""Cleaning of text: what a descriptor may still say, and what in a file identifies its patient.

Descriptors and free text keep words of imaging only (`data/words.txt`) and short technical tokens; other retained
text loses every identifier, date and long number of the same file. Nothing here keeps what it does not know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

_TOKEN = re.compile(r"[^\W_]+", re.UNICODE)
_TECHNICAL = re.compile(r"[a-z]{0,2}\d{1,3}[a-z]{0,2}|b\d{1,4}|\d{1,2}x\d{1,2}|[a-z]{2,4}[23]d\d?", re.ASCII)
_DATE = re.compile(r"(?<!\d)(\d{4}[-./]?\d{2}[-./]?\d{2}|\d{1,2}[-./]\d{1,2}[-./]\d{2,4})(?!\d)")
_LONG_NUMBER = re.compile(r"\d{6,}")
MIN_IDENTIFIER = 3  # characters; shorter tokens ("MR", "CT") would empty half the header


@cache
def imaging_words() -> frozenset[str]:
    """Lower-case words that cannot identify anybody."""
    return frozenset(resources.files("irp_deid").joinpath("data/words.txt").read_text("utf-8").split())


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Lower-case tokens and whole values that identify the patient of one file."""

    tokens: frozenset[str]
    values: frozenset[str]

    def name(self, text: str) -> bool:
        """True if the whole text is an identifier or one of its parts."""
        lowered = text.strip().lower()
        return lowered in self.values or lowered in self.tokens

    def without(self, text: str) -> str:
        """The text less every identifier, date and number of six or more digits."""
        lowered = text.lower()
        for value in sorted(self.values, key=len, reverse=True):
            if value in lowered:
                text = re.sub(re.escape(value), " ", text, flags=re.IGNORECASE)
                lowered = text.lower()
        text = _LONG_NUMBER.sub(" ", _DATE.sub(" ", text))
        text = _TOKEN.sub(lambda match: "" if match[0].lower() in self.tokens else match[0], text)
        return " ".join(text.split())


def identifiers_of(values: list[str]) -> Identifiers:
    """From the values of identifying attributes; imaging words are no identifiers."""
    whole = {value.strip().lower() for value in values}
    whole |= {" ".join(_TOKEN.findall(value)) for value in whole}
    tokens = {token for value in whole for token in _TOKEN.findall(value)}
    return Identifiers(
        frozenset(t for t in tokens if len(t) >= MIN_IDENTIFIER and t not in imaging_words()),
        frozenset(v for v in whole if len(v) >= MIN_IDENTIFIER and v not in imaging_words()),
    )


def clean_descriptor(text: str, identifiers: Identifiers) -> str:
    """Only words of imaging and short technical tokens ("T1", "b1000", "4ch"), joined by single spaces."""
    kept = [t for t in _TOKEN.findall(identifiers.without(text)) if _is_imaging(t.lower())]
    return " ".join(kept)


def _is_imaging(token: str) -> bool:
    return token in imaging_words() or bool(_TECHNICAL.fullmatch(token))

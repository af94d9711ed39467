"""Cleaning of text: what a descriptor may still say, and what in a file identifies its patient.

Descriptors and free text keep words of imaging only (`data/words.txt`, and the project's vocabulary) and short
technical tokens; other retained text loses every identifier, date and long number of the same file. Nothing here keeps
what it does not know.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

_TOKEN = re.compile(r"[^\W_]+", re.UNICODE)
_TECHNICAL = re.compile(r"[a-z]{0,2}\d{1,3}[a-z]{0,2}|b\d{1,4}|\d{1,2}x\d{1,2}|[a-z]{2,4}[23]d\d?", re.ASCII)
_DAY, _MONTH = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_DATE = re.compile(
    rf"(?<!\d)\d{{4}}[-./]?\d{{2}}[-./]?\d{{2}}(?!\d)"
    rf"|(?<![\d.]){_DAY}[-./]{_DAY}[-./](?:\d{{4}}|\d{{2}})(?!\.?\d)"
    rf"|(?<!\w){_DAY}[-. ]{{0,2}}{_MONTH}[-., ]{{0,2}}(?:\d{{4}}|\d{{2}})(?!\d)"
    rf"|(?<!\w){_MONTH}[-. ]{{0,2}}{_DAY}[-., ]{{1,2}}\d{{4}}(?!\d)",
    re.IGNORECASE,
)
# Telephone, insurance and account numbers; versions ("4.0.452.3") and decimals are none.
_NUMBER = re.compile(
    r"\d{6,}|(?<!\d)\(?\d(?:[-/()]{0,2}\d){6,}|(?<![^\W_])\+?\(?\d(?:[-/() ]{0,3}\d){6,}"
    r"|(?<![\d.])\d{3}\.\d{3,4}\.\d{4}(?!\d)"
)
_ADDRESS = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}")
_SYMBOL = re.compile(r"[^\x00-\x7f\w°±×·–]")
_UNITS = frozenset("µμ²³")
_SIGN = re.compile(r" ?[-_/.,:;+*&=<>%()] ?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
MAX_PASSES = 4  # of cleaning; what removals bring together may have to go, too
MIN_IDENTIFIER = 3  # characters; shorter tokens ("MR", "CT") would empty half the header
MIN_NAME = 2  # characters of a part of a name that is written in Latin letters; others may have one
MIN_ANYWHERE = 5  # characters; shorter values are looked for as whole words ("Ann" is no part of "scanner")
_SPELT_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "å": "aa", "ø": "oe", "æ": "ae"})


@cache
def imaging_words() -> frozenset[str]:
    """Lower-case words that cannot identify anybody."""
    return frozenset(resources.files("irp_deid").joinpath("data/words.txt").read_text("utf-8").split())


@cache
def generic_words() -> frozenset[str]:
    """Lower-case words of institutions' and makers' names that point at nobody; the whole name goes nevertheless."""
    return frozenset(resources.files("irp_deid").joinpath("data/generic.txt").read_text("utf-8").split())


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Lower-case tokens and whole values that identify the patient of one file.

    Attributes:
        tokens: single words.
        values: whole values, also of several words.
        pattern: finds any of the values; None without values.
    """

    tokens: frozenset[str]
    values: frozenset[str]
    pattern: re.Pattern[str] | None = None

    def name(self, text: str) -> bool:
        """True if the whole text is an identifier or one of its parts."""
        lowered = text.strip().lower()
        return lowered in self.values or lowered in self.tokens

    def without(self, text: str, spared: frozenset[str] = frozenset()) -> str:
        """The text less every identifier, date, mail address, number of six or more digits and word not in Latin.

        Words not in Latin that are spared (lower-case) stay, unless they are identifiers.
        """
        left = _CONTROL.sub("", text if text.isascii() else _settled(text))
        left = self.pattern.sub(" ", left) if self.pattern is not None else left
        left = _NUMBER.sub(" ", _DATE.sub(" ", _ADDRESS.sub(" ", left)))
        left = _TOKEN.sub(lambda match: "" if self._is_part(match[0]) else match[0], left)
        if not left.isascii():  # in other scripts nobody here can tell a name from a word
            left = _TOKEN.sub(lambda m: m[0] if _is_latin(m[0]) or m[0].lower() in spared else "", left)
            left = _SYMBOL.sub(" ", left)
        return text if left == text else " ".join(left.split())

    def _is_part(self, token: str) -> bool:
        return any(spelling in self.tokens for spelling in _spellings(token))


def identifiers_of(values: Iterable[str], names: Iterable[str] = ()) -> Identifiers:
    """From the values of identifying attributes, and from person names; imaging words are no identifiers."""
    whole = {form for value in values for form in _forms(value, [value])}
    tokens = {
        token for value in whole for token in _TOKEN.findall(value) if len(token) >= MIN_IDENTIFIER
    } - generic_words()
    for name in names:
        for group in name.split("="):
            parts = group.replace("^", " ").split()
            whole |= _forms(group.replace("^", " "), parts)
            tokens |= {form for part in parts for form in _spellings(part) if _is_long_enough(form)}
            tokens |= {token for part in parts for token in _TOKEN.findall(part.lower()) if _is_long_enough(token)}
    whole = {value for value in whole if value not in imaging_words() | generic_words() and _may_be_searched(value)}
    tokens -= imaging_words()
    return Identifiers(frozenset(tokens), frozenset(whole), _pattern(whole))


def _forms(value: str, parts: list[str]) -> set[str]:
    """How a value may be written elsewhere: with other punctuation, without any, the parts in another order."""
    found = set(_spellings(value.strip()))
    words = [token for part in parts for token in _TOKEN.findall(part.lower())]
    found |= {" ".join(words), "".join(words)}
    if len(parts) > 1:
        found |= {form for part in parts for form in _spellings(part)}
        found.add("".join("".join(_TOKEN.findall(part.lower())) for part in [*parts[1:], parts[0]]))
    return found


def _spellings(text: str) -> tuple[str, ...]:
    lowered = text.lower()
    if lowered.isascii():
        return (lowered,)
    bare = "".join(c for c in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(c))
    return lowered, bare, lowered.translate(_SPELT_OUT)


def _settled(text: str) -> str:
    """Letters with their accents as one, and nothing that cannot be seen: both would hide a name in two halves."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(c for c in composed if c.isascii() or unicodedata.category(c) not in {"Cf", "Mn", "Me", "Cc"})


def _is_long_enough(token: str) -> bool:
    return len(token) >= MIN_NAME or not token.isascii()


def _may_be_searched(value: str) -> bool:
    return len(value) >= MIN_IDENTIFIER or (value != "" and not value.isascii())


@lru_cache(maxsize=4096)
def _is_latin_letter(letter: str) -> bool:
    return letter.isascii() or letter in _UNITS or unicodedata.name(letter, "").startswith("LATIN ")


def _is_latin(token: str) -> bool:
    return token.isascii() or all(map(_is_latin_letter, token))


def _pattern(values: set[str]) -> re.Pattern[str] | None:
    """Longest first, so that no part of a value is left by a shorter one."""
    ordered = sorted(values, key=lambda value: (-len(value), value))
    anywhere = [re.escape(v) for v in ordered if len(v) >= MIN_ANYWHERE or not v.isascii()]
    as_words = [re.escape(v) for v in ordered if len(v) < MIN_ANYWHERE and v.isascii()]
    parts = ["|".join(anywhere)] if anywhere else []
    parts += [rf"(?<![^\W_])(?:{'|'.join(as_words)})(?![^\W_])"] if as_words else []
    return re.compile("|".join(parts), re.IGNORECASE) if parts else None


def clean_descriptor(text: str, identifiers: Identifiers, vocabulary: frozenset[str] = frozenset()) -> str:
    """Only words of imaging or of the vocabulary and short technical tokens ("T1", "b1000", "4ch").

    What identifies the patient went before: a name wins over the vocabulary. Words that were neighbours keep the sign
    between them ("W/O"), others are joined by a space. Cleaning again changes nothing.
    """
    for _ in range(MAX_PASSES):
        before, text = text, _cleaned_once(text, identifiers, vocabulary)
        if text == before:
            return text
    return ""


def _cleaned_once(text: str, identifiers: Identifiers, vocabulary: frozenset[str]) -> str:
    text = identifiers.without(text, vocabulary)
    kept, end, neighbours = "", 0, False
    for match in _TOKEN.finditer(text):
        wanted = _is_imaging(match[0].lower(), vocabulary)
        if wanted:
            between = text[end : match.start()]
            sign = between if neighbours and _SIGN.fullmatch(between) else " "
            kept += (sign if kept else "") + match[0]
        end, neighbours = match.end(), wanted
    return kept


def _is_imaging(token: str, vocabulary: frozenset[str]) -> bool:
    return token in imaging_words() or token in vocabulary or bool(_TECHNICAL.fullmatch(token))

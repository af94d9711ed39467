"""A project's own words that descriptors may keep; what identifies the patient of a file goes nevertheless."""

from __future__ import annotations

import re
from collections.abc import Iterable

from irp_deid.errors import VocabularyNotValid

MAX_WORDS = 500
_WORD = re.compile(r"(?=.*[^\W\d_])[^\W_]{3,32}")  # letters and digits of any script, at least one letter
_LONG_NUMBER = re.compile(r"\d{5,}")


def vocabulary_of(words: Iterable[str]) -> frozenset[str]:
    """Lower-case words.

    Raises:
        VocabularyNotValid: says which one, by its place.
    """
    listed = list(words) if not isinstance(words, str) else [words]
    if len(listed) > MAX_WORDS:
        raise VocabularyNotValid(f"vocabulary: at most {MAX_WORDS} words")
    for index, word in enumerate(listed):
        if not isinstance(word, str) or not _WORD.fullmatch(word) or _LONG_NUMBER.search(word):
            raise VocabularyNotValid(f"vocabulary.{index}: 3 to 32 letters and digits, at least one letter")
    return frozenset(word.lower() for word in listed)

"""Which action an attribute gets: PS3.15 Table E.1-1 as data, and the options a project chose.

In: `data/table_e1_1.tsv` (edition 2026c) and option codes of CID 7050. Out: one `Action` per attribute. The table
is read once; rules are never code.
"""

from __future__ import annotations

import csv
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from irp_deid.errors import UnsupportedProfile
from irp_deid.positive import PositiveList
from irp_deid.vocabulary import vocabulary_of

EDITION = "PS3.15 2026c, Table E.1-1"


class Action(enum.StrEnum):
    """Action codes of PS3.15 Table E.1-1a, after the choices between alternatives were made."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    KEEP = "K"
    CLEAN = "C"
    UID = "U"


# Of alternatives, the one that keeps any object valid, for the IOD is not at hand: PS3.15 Table E.1-1a.
_CHOSEN = {"Z/D": "D", "X/Z": "Z", "X/D": "D", "X/Z/D": "D", "X/Z/U*": "C"}
# A dummy item could only be made from the original one: sequences rather go.
_CHOSEN_SEQUENCE = {"Z/D": "Z", "X/Z": "Z", "X/D": "X", "X/Z/D": "X", "X/Z/U*": "C"}


@dataclass(frozen=True, slots=True)
class Option:
    """An option of the Basic Profile. Source: PS3.16 CID 7050."""

    code: str
    meaning: str
    column: str


BASIC = Option("113100", "Basic Application Confidentiality Profile", "basic")
OPTIONS = {
    option.code: option
    for option in (
        Option("113101", "Clean Pixel Data Option", ""),  # no column of the table: see pixels.py
        Option("113103", "Clean Structured Content Option", "structured"),
        Option("113104", "Clean Graphics Option", "graphics"),
        Option("113105", "Clean Descriptors Option", "descriptors"),
        Option("113106", "Retain Longitudinal Temporal Information Full Dates Option", "full_dates"),
        Option("113107", "Retain Longitudinal Temporal Information Modified Dates Option", "modified_dates"),
        Option("113108", "Retain Patient Characteristics Option", "patient"),
        Option("113109", "Retain Device Identity Option", "device"),
        Option("113110", "Retain UIDs Option", "uids"),
        Option("113111", "Retain Safe Private Option", "safe_private"),
        Option("113112", "Retain Institution Identity Option", "institution"),
    )
}
DEFAULT_OPTIONS = ("113105", "113107", "113111")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a profile says about a public attribute.

    Attributes:
        action: None if neither the table nor a positive list names it.
        why: in words for a report.
    """

    action: Action | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The Basic Profile with options.

    Attributes:
        options: what is retained or cleaned beyond the Basic Profile, in ascending order of code.
        positive_list: what the project wants at all; None wants all that the profile keeps.
        vocabulary: lower-case words that descriptors may keep beyond the engine's own.
        takes_suspects: instances whose pixels or texts may name somebody are de-identified too, not refused: whoever
            asks for this keeps them apart.
    """

    options: tuple[Option, ...] = field(default_factory=lambda: tuple(OPTIONS[code] for code in DEFAULT_OPTIONS))
    positive_list: PositiveList | None = None
    vocabulary: frozenset[str] = frozenset()
    takes_suspects: bool = False
    _rules: dict[tuple[int, str], Rule] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        name: str = "basic",
        codes: Iterable[str] = DEFAULT_OPTIONS,
        positive_list: PositiveList | None = None,
        vocabulary: Iterable[str] = (),
    ) -> Profile:
        """From a project's configuration; the same configuration gives the same object, which knows its rules.

        Raises:
            UnsupportedProfile: another profile, or an option that is not done here.
            VocabularyNotValid: a word that is none.
        """
        wanted = sorted({str(code) for code in codes})
        if name != "basic" or not set(wanted) <= OPTIONS.keys() or {"113106", "113107"} <= set(wanted):
            raise UnsupportedProfile
        return _made(tuple(wanted), positive_list, vocabulary_of(vocabulary))

    @classmethod
    def from_configuration(cls, section: Mapping[str, Any]) -> Profile:
        """From `deidentification` of a project's configuration; what it does not say is the default.

        Raises:
            UnsupportedProfile, PositiveListNotValid, VocabularyNotValid: the section cannot be followed.
        """
        listed = section.get("positive_list")
        return cls.of(
            section.get("profile", "basic"),
            section.get("options", DEFAULT_OPTIONS),
            None if listed is None else PositiveList.of(listed),
            section.get("vocabulary", ()),
        )

    def with_suspects(self, *codes: str) -> Profile:
        """The same profile, with further options, for instances that are kept apart."""
        wanted = sorted({*codes, *(option.code for option in self.options)})
        return _made(tuple(wanted), self.positive_list, self.vocabulary, takes_suspects=True)

    def has(self, code: str) -> bool:
        """True if the option was chosen."""
        return any(option.code == code for option in self.options)

    @property
    def codes(self) -> tuple[Option, ...]:
        """Everything that De-identification Method Code Sequence (0012,0064) says."""
        return (BASIC, *self.options)

    def action(self, tag: int, vr: str) -> Action | None:
        """The action for a public attribute with its value representation; None if the table does not name it."""
        return self.rule(tag, vr).action

    def rule(self, tag: int, vr: str) -> Rule:
        """The action for a public attribute with its value representation, and why."""
        rule = self._rules.get((tag, vr))
        if rule is None:
            rule = self._rules[tag, vr] = self._decide(tag, vr)
        return rule

    def table_action(self, tag: int, vr: str) -> Action | None:
        """What table and options say, whatever the positive list takes away."""
        return self._table(tag, vr).action

    def _decide(self, tag: int, vr: str) -> Rule:
        said = self._table(tag, vr)
        wanted = self.positive_list is None or self.positive_list.allows(tag)
        return said if wanted or said.action is Action.REMOVE else Rule(Action.REMOVE, self.not_listed)

    @property
    def not_listed(self) -> str:
        """Why an attribute went that the positive list does not name."""
        listed = self.positive_list
        return f"positive list {listed.name} v{listed.version}: not listed" if listed else ""

    def _table(self, tag: int, vr: str) -> Rule:
        row = _row(tag)
        if row is None:
            return Rule(None, "not in Table E.1-1")
        said = [(option, row[option.column]) for option in self.options if row.get(option.column)]
        # Keeping (K) wins over cleaning (C): the project said that it wants the value itself.
        option, choice = min(said, key=lambda one: one[1] != "K", default=(None, row["basic"]))
        action = Action((_CHOSEN_SEQUENCE if vr == "SQ" else _CHOSEN).get(choice, choice))
        return Rule(action, f"option {option.code}: {choice}" if option else f"Table E.1-1: {choice}")


@lru_cache(maxsize=64)  # profiles in use at one time; a forgotten one decides again
def _made(
    codes: tuple[str, ...],
    positive_list: PositiveList | None,
    vocabulary: frozenset[str],
    takes_suspects: bool = False,
) -> Profile:
    options = tuple(OPTIONS[code] for code in codes)
    return Profile(options=options, positive_list=positive_list, vocabulary=vocabulary, takes_suspects=takes_suspects)


@cache
def table() -> Mapping[str, Mapping[str, str]]:
    """Table E.1-1: upper-case hexadecimal tag (`x` stands for any digit) -> column -> action."""
    text = resources.files("irp_deid").joinpath("data/table_e1_1.tsv").read_text("utf-8")
    return {row["tag"]: row for row in csv.DictReader(text.splitlines(), delimiter="\t", restval="")}


@cache
def _row(tag: int) -> Mapping[str, str] | None:
    key = f"{tag:08X}"
    group = key[:2]
    if group == "50" and int(key[2:4], 16) < 0x1F:
        return table()["50xxxxxx"]
    if group == "60" and int(key[2:4], 16) < 0x1F:
        return table().get(f"60xx{key[4:]}")
    return table().get(key)

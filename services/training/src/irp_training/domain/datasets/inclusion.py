"""Which accepted masks a dataset holds. The rules stand in its manifest, so another rule is another digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from irp_kernel.mask import VALUE_OF

from irp_training.domain.datasets.case import NOT_SAID, Case
from irp_training.domain.errors import RulesNotValid

VERDICTS = ("good", "review", "unusable", NOT_SAID)  # quality's words, and that of a series it has not judged
GOOD_ENOUGH = ("good", "review", NOT_SAID)
CERTAINTIES = range(4)  # 0 = also where nobody said one, 1 to 3
NAMES = 64  # of classes or sites in one rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a case must be; lists are kept sorted, for their order says nothing.

    Attributes:
        sequence_classes: one of these; empty = any.
        verdicts: quality's verdict is one of these, "unknown" where there is none yet.
        least_certainty: that the mask's author said, 1 to 3; 0 = also where nobody said one.
        structures: canonical names; one of these was judged on at least one slice; empty = any.
        sites: one of these pseudonymous sites; empty = any.

    Raises:
        RulesNotValid: a word that is not known, or a list that is too long.
    """

    sequence_classes: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = GOOD_ENOUGH
    least_certainty: int = 0
    structures: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _require(set(self.verdicts) <= set(VERDICTS), f"verdicts are {', '.join(VERDICTS)}")
        _require(self.least_certainty in CERTAINTIES, "the least certainty is 1 to 3, or 0 for any")
        _require(set(self.structures) <= set(VALUE_OF), f"canonical structures are {', '.join(VALUE_OF)}")
        for name in ("sequence_classes", "verdicts", "structures", "sites"):
            words = tuple(sorted(set(getattr(self, name))))
            _require(len(words) <= NAMES, f"`{name}` holds at most {NAMES} names")
            object.__setattr__(self, name, words)
        if not self.verdicts:
            object.__setattr__(self, "verdicts", GOOD_ENOUGH)

    def admit(self, case: Case) -> bool:
        """True if the case counts. Structures of a case of which nothing is known were not judged."""
        judged = case.judged or {}
        return (
            _among(case.sequence_class, self.sequence_classes)
            and (case.verdict or NOT_SAID) in self.verdicts
            and case.certainty >= self.least_certainty
            and (not self.structures or any(judged.get(name, 0) > 0 for name in self.structures))
            and _among(case.site, self.sites)
        )

    def to_json(self) -> dict[str, Any]:
        """As the manifest has it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Rules:
        """Read back; keys that are left out take their defaults, and keys that nobody knows are an error.

        Raises:
            RulesNotValid: see the class.
        """
        known = {field.name for field in fields(cls)}
        _require(set(document) <= known, f"keys of a rule are {', '.join(sorted(known))}")
        read: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in document.items()}
        return cls(**read)


def _among(word: str, wanted: tuple[str, ...]) -> bool:
    return not wanted or word in wanted


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise RulesNotValid(message)


EVERYTHING = Rules()  # but what quality calls unusable

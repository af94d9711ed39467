"""From what a hospital calls a structure to what the house calls it.

A project's configuration names its structures; a label table maps the values, segment labels or contour names of one
file to them. Both end in canonical names; a channel or value never means something by its position.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from irp_kernel.errors import UnknownStructure
from irp_kernel.mask import CANONICAL, VALUE_OF

from irp_annotation.domain.errors import BadLabelTable
from irp_annotation.domain.seg_codes import CODES, Code

EPICARDIUM = "lv_epicardium"  # a contour, not a structure: what it encloses less the blood pool is myocardium
ENDOCARDIUM = "lv_endocardium"  # another name for the border of the blood pool
MAX_LABELS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """One line of a project's configuration: its own name, the canonical name, and perhaps a SNOMED CT code."""

    name: str
    canonical: str
    snomed: str = ""


@dataclass(frozen=True, slots=True)
class Structures:
    """What a project draws."""

    items: tuple[Structure, ...] = ()

    @classmethod
    def from_configuration(cls, document: Mapping[str, Any]) -> Structures:
        """The part `structures` of a configuration document.

        Raises:
            UnknownStructure: a structure's canonical name is none.
        """
        items = []
        for line in document.get("structures", []):
            canonical = str(line.get("canonical", line["name"]))
            if canonical not in VALUE_OF:
                raise UnknownStructure(f"canonical structures are {', '.join(VALUE_OF)}")
            items.append(Structure(name=str(line["name"]), canonical=canonical, snomed=str(line.get("snomed") or "")))
        return cls(tuple(items))

    @property
    def canonical_names(self) -> tuple[str, ...]:
        """In the order of their values; all the house knows if the project names none."""
        named = {item.canonical for item in self.items} or set(VALUE_OF)
        return tuple(sorted(named, key=VALUE_OF.__getitem__))

    def canonical(self, name: str) -> str:
        """Own or canonical name -> canonical name.

        Raises:
            UnknownStructure: neither.
        """
        found = self.find(name=name)
        if found is None:
            known = dict.fromkeys([*(item.name for item in self.items), *VALUE_OF])
            raise UnknownStructure(f"known structures are {', '.join(known)}")
        return found

    def find(self, *, name: str = "", code: Code | None = None) -> str | None:
        """Canonical name by own name, canonical name, or code; None if there is none."""
        folded = name.strip().casefold()
        for item in self.items:
            if folded and item.name.casefold() == folded:
                return item.canonical
            if code and item.snomed and item.snomed == code.value:
                return item.canonical
        if folded == ENDOCARDIUM:
            return CANONICAL[VALUE_OF["lv_blood_pool"]]
        if folded in VALUE_OF:
            return folded
        return next((known for known, own in CODES.items() if code and own.means(code)), None)


@dataclass(frozen=True, slots=True)
class LabelChoice:
    """A request's label table, resolved: key in the file -> canonical name, or None for background."""

    by_key: Mapping[str, str | None]

    @property
    def by_value(self) -> dict[int, str | None]:
        """The keys that are numbers."""
        return {int(key): name for key, name in self.by_key.items() if key.isdecimal()}

    def __contains__(self, key: str) -> bool:
        return key in self.by_key


def read_label_table(text: str, structures: Structures) -> LabelChoice:
    """Read a request's label table.

    Args:
        text: JSON object or empty. {"1": {"name": "own name"}, "2": {"snomed": "49848007"}, "3": "scar", "9": null}
        structures: the project's.

    Raises:
        BadLabelTable: not such an object.
        UnknownStructure: it names what is not known.
    """
    if not text.strip():
        return LabelChoice({})
    try:
        table = json.loads(text)
    except ValueError:
        raise BadLabelTable from None
    if not isinstance(table, dict) or len(table) > MAX_LABELS:
        raise BadLabelTable
    return LabelChoice({str(key): _resolve(entry, structures) for key, entry in table.items()})


def _resolve(entry: object, structures: Structures) -> str | None:
    if entry is None:
        return None
    if isinstance(entry, str):
        return structures.canonical(entry)
    if not isinstance(entry, dict):
        raise BadLabelTable
    if isinstance(entry.get("snomed"), str):
        found = structures.find(code=Code("SCT", entry["snomed"], ""))
        if found is None:
            raise UnknownStructure("no structure has that SNOMED CT code")
        return found
    if not isinstance(entry.get("name"), str):
        raise BadLabelTable
    return structures.canonical(entry["name"])


def required(table: Mapping[int, str | None], value: int) -> str | None:
    """What a value means.

    Raises:
        UnknownStructure: the table does not say it.
    """
    if value not in table:
        raise UnknownStructure(f"value {value} is not in the label table", value=value)
    return table[value]

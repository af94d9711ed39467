"""Clinical values: FHIR R4 bundles and CSV tables -> values of declared endpoints per original patient identifier.

The identifiers are mapped to pseudonyms by the caller, and never kept. Only declared endpoints are taken; what is not
taken is told by its place, never by its content.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from irp_ingest.domain.errors import ClinicalNotReadable

MAX_ROWS = 100_000
MAX_REFUSALS = 200  # lines told back; the rest is not told
TEXT_TYPES = frozenset({"category", "text"})
_CATEGORY = re.compile(r"[\w .+/<>=%()-]{1,64}")
_DATE = re.compile(r"\d{4}[-./]\d{2}|\d{1,2}[-./]\d{1,2}[-./]\d{2,4}|\d{6,}")
GENDERS = {"male": "M", "female": "F", "other": "O"}  # FHIR administrative-gender -> DICOM PatientSex
SEX = "sex"

Endpoint = Mapping[str, Any]


@dataclass(slots=True)
class Clinical:
    """What a document says.

    Attributes:
        values: original patient id -> endpoint -> number.
        categories: original patient id -> endpoint -> text.
        refused: position and reason of what was not taken, never its content.
    """

    values: dict[str, dict[str, float]] = field(default_factory=dict)
    categories: dict[str, dict[str, str]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def put(self, patient: str, endpoint: Endpoint, raw: Any, place: str) -> None:
        """Take one value, or say why not."""
        name = str(endpoint["name"])
        if endpoint["type"] in TEXT_TYPES:
            self._put_text(patient, endpoint, str(raw or "").strip(), place)
            return
        number = as_number(raw)
        if number is None:
            self.refuse(f"{place}: {name} is not a number")
        else:
            self.values.setdefault(patient, {})[name] = number

    def _put_text(self, patient: str, endpoint: Endpoint, text: str, place: str) -> None:
        name, allowed = str(endpoint["name"]), endpoint.get("categories") or endpoint.get("values")
        if (allowed and text not in allowed) or not _CATEGORY.fullmatch(text):
            self.refuse(f"{place}: {name} is not one of its categories")
        elif text == patient or _DATE.search(text):
            self.refuse(f"{place}: {name} may identify somebody")
        else:
            self.categories.setdefault(patient, {})[name] = text

    def refuse(self, reason: str) -> None:
        """Note what was not taken."""
        if len(self.refused) < MAX_REFUSALS:
            self.refused.append(reason)


def as_number(raw: Any) -> float | None:
    """A finite number, or None; "43,5" is one, as tables of many countries write it."""
    try:
        number = float(raw.replace(",", ".") if isinstance(raw, str) else raw)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def read_table(body: bytes, endpoints: Sequence[Endpoint]) -> Clinical:
    """A CSV table: the first column is the patient's identifier, the others are endpoints by name.

    The header says which of comma, semicolon and tab separates.

    Raises:
        ClinicalNotReadable: no UTF-8, no header, or too many rows.
    """
    try:
        text = body.decode("utf-8-sig")
        header = text.split("\n", 1)[0]
        rows = list(csv.reader(io.StringIO(text), delimiter=max(",;\t", key=header.count)))
    except (UnicodeDecodeError, csv.Error):
        raise ClinicalNotReadable("the table is not CSV in UTF-8") from None
    if not rows or len(rows[0]) < 2 or len(rows) > MAX_ROWS:
        raise ClinicalNotReadable(f"the table needs a header of two columns, and at most {MAX_ROWS} rows")
    by_name = {endpoint["name"]: endpoint for endpoint in endpoints}
    columns = [by_name.get(name.strip()) for name in rows[0]]
    found = Clinical()
    for at, known in enumerate(columns[1:], start=2):
        if known is None:
            found.refuse(f"column {at}: not an endpoint of this project")
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        if not row[0].strip():
            found.refuse(f"row {number}: no patient identifier")
            continue
        for endpoint, raw in zip(columns[1:], row[1:], strict=False):
            if endpoint is not None and raw.strip():
                found.put(row[0].strip(), endpoint, raw.strip(), f"row {number}")
    return found


def read_bundle(body: bytes, endpoints: Sequence[Endpoint]) -> Clinical:
    """A FHIR R4 Bundle: Patient resources name people, Observations carry values by code; the latest one counts.

    Source: HL7 FHIR R4, sections 2.37 (Bundle), 8.1 (Patient), 10.1 (Observation).

    Raises:
        ClinicalNotReadable: not a Bundle.
    """
    try:
        bundle = json.loads(body)
    except (ValueError, RecursionError):
        raise ClinicalNotReadable("the body is not JSON") from None
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise ClinicalNotReadable("the body is not a FHIR Bundle")
    entries = _dicts(bundle.get("entry"))
    if len(entries) > MAX_ROWS:
        raise ClinicalNotReadable(f"a Bundle here has at most {MAX_ROWS} entries")
    return _Bundle(entries, endpoints).read()


class _Bundle:
    def __init__(self, entries: list[dict[str, Any]], endpoints: Sequence[Endpoint]) -> None:
        self._entries = [(f"entry {at}", entry, _dict(entry.get("resource"))) for at, entry in enumerate(entries)]
        self._by_code = {(e["code"].get("system"), e["code"].get("code")): e for e in endpoints if e.get("code")}
        self._by_name = {str(e["name"]): e for e in endpoints}
        self._patients = dict(self._references())
        self._found = Clinical()

    def read(self) -> Clinical:
        """Patients first, then observations in the order of their time."""
        observations = []
        for place, _, resource in self._entries:
            kind = resource.get("resourceType")
            if kind == "Patient":
                self._patient(place, resource)
            elif kind == "Observation":
                observations.append((str(resource.get("effectiveDateTime") or ""), place, resource))
            else:
                self._found.refuse(f"{place}: only Patient and Observation are read")
        for _, place, resource in sorted(observations, key=lambda found: found[0]):
            self._observation(place, resource)
        return self._found

    def _references(self) -> Iterator[tuple[str, str]]:
        for _, entry, resource in self._entries:
            identifier = _identifier(resource)
            if resource.get("resourceType") == "Patient" and identifier:
                for reference in (entry.get("fullUrl"), f"Patient/{resource.get('id')}"):
                    if isinstance(reference, str):
                        yield reference, identifier

    def _patient(self, place: str, resource: dict[str, Any]) -> None:
        identifier, gender = _identifier(resource), GENDERS.get(str(resource.get("gender")))
        endpoint = self._by_name.get(SEX)
        if not identifier:
            self._found.refuse(f"{place}: the Patient has no identifier")
        elif endpoint is not None and endpoint["type"] in TEXT_TYPES and gender:
            self._found.put(identifier, endpoint, gender, place)

    def _observation(self, place: str, resource: dict[str, Any]) -> None:
        codings = _dicts(_dict(resource.get("code")).get("coding"))
        keys = [(coding.get("system"), coding.get("code")) for coding in codings]
        endpoint = next((self._by_code[key] for key in keys if _hashable(key) and key in self._by_code), None)
        if endpoint is None:
            self._found.refuse(f"{place}: its code is not an endpoint of this project")
            return
        if resource.get("status") in {"entered-in-error", "cancelled"}:
            self._found.refuse(f"{place}: it was withdrawn by its author")
            return
        subject = _dict(resource.get("subject"))
        patient = self._patients.get(str(subject.get("reference", "")))
        patient = patient or str(_dict(subject.get("identifier")).get("value") or "").strip()
        if not patient:
            self._found.refuse(f"{place}: its patient is not in the Bundle")
            return
        self._value(place, resource, patient, endpoint)

    def _value(self, place: str, resource: dict[str, Any], patient: str, endpoint: Endpoint) -> None:
        quantity = _dict(resource.get("valueQuantity"))
        units = {str(quantity[key]) for key in ("unit", "code") if quantity.get(key)}
        if units and endpoint.get("unit") and endpoint["unit"] not in units:
            self._found.refuse(f"{place}: {endpoint['name']} has another unit than the project's")
            return
        raw = quantity.get("value")
        for name in ("valueInteger", "valueString", "valueBoolean"):
            raw = resource.get(name) if raw is None else raw
        if raw is None:
            codes = _dicts(_dict(resource.get("valueCodeableConcept")).get("coding"))
            raw = codes[0].get("code") if codes else None
        self._found.put(patient, endpoint, raw, place)


def _identifier(resource: dict[str, Any]) -> str:
    """The patient's first identifier, else the resource's id."""
    values = [str(i["value"]).strip() for i in _dicts(resource.get("identifier")) if i.get("value")]
    return next(iter(values), str(resource.get("id") or "").strip())


def _dict(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _dicts(found: Any) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _hashable(key: tuple[Any, ...]) -> bool:
    return all(isinstance(part, str | None) for part in key)

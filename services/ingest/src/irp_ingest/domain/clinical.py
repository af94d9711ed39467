"""Clinical values: FHIR R4 bundles and CSV tables -> values of declared endpoints per original patient identifier.

The identifiers are mapped to pseudonyms by the caller, and never kept.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from irp_ingest.domain.errors import ClinicalNotReadable

MAX_ROWS = 100_000
MAX_REFUSALS = 200  # lines told back; the count goes on


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

    def put(self, patient: str, endpoint: Mapping[str, Any], raw: Any, place: str) -> None:
        """Take one value, or say why not."""
        name = str(endpoint["name"])
        if endpoint["type"] == "category":
            self.categories.setdefault(patient, {})[name] = str(raw)[:64]
            return
        try:
            number = float(raw)
        except (TypeError, ValueError):
            number = math.nan
        if math.isfinite(number):
            self.values.setdefault(patient, {})[name] = number
        else:
            self.refuse(f"{place}: {name} is not a number")

    def refuse(self, reason: str) -> None:
        """Note what was not taken."""
        if len(self.refused) < MAX_REFUSALS:
            self.refused.append(reason)


def read_table(body: bytes, endpoints: Sequence[Mapping[str, Any]]) -> Clinical:
    """A CSV table: the first column is the patient's identifier, the others are endpoints by name.

    Raises:
        ClinicalNotReadable: no UTF-8, no header, or too many rows.
    """
    try:
        rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"))))
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
        if not row or not row[0].strip():
            found.refuse(f"row {number}: no patient identifier")
            continue
        for endpoint, raw in zip(columns[1:], row[1:], strict=False):
            if endpoint is not None and raw.strip():
                found.put(row[0].strip(), endpoint, raw.strip(), f"row {number}")
    return found


def read_bundle(body: bytes, endpoints: Sequence[Mapping[str, Any]]) -> Clinical:
    """A FHIR R4 Bundle: Patient resources name people, Observations carry values by code.

    Source: HL7 FHIR R4, sections 2.37 (Bundle), 10.1 (Observation).

    Raises:
        ClinicalNotReadable: not a Bundle.
    """
    try:
        bundle = json.loads(body)
    except (ValueError, RecursionError):
        raise ClinicalNotReadable("the body is not JSON") from None
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise ClinicalNotReadable("the body is not a FHIR Bundle")
    entries = [e for e in bundle.get("entry") or [] if isinstance(e, dict) and isinstance(e.get("resource"), dict)]
    if len(entries) > MAX_ROWS:
        raise ClinicalNotReadable(f"a Bundle here has at most {MAX_ROWS} entries")
    patients = _patients(entries)
    by_code = {(e["code"]["system"], e["code"]["code"]): e for e in endpoints if e.get("code")}
    found = Clinical()
    for number, entry in enumerate(entries):
        resource = entry["resource"]
        if resource.get("resourceType") == "Observation":
            _observation(resource, patients, by_code, found, f"entry {number}")
        elif resource.get("resourceType") != "Patient":
            found.refuse(f"entry {number}: only Patient and Observation are read")
    return found


def _patients(entries: list[dict[str, Any]]) -> dict[str, str]:
    """Reference -> the patient's (first) identifier."""
    found = {}
    for entry in entries:
        resource = entry["resource"]
        if resource.get("resourceType") == "Patient":
            identifiers = resource.get("identifier") or []
            value = next((str(i["value"]) for i in identifiers if isinstance(i, dict) and i.get("value")), None)
            value = value or str(resource.get("id", ""))
            for reference in (entry.get("fullUrl"), f"Patient/{resource.get('id')}"):
                if reference and value:
                    found[str(reference)] = value
    return found


def _observation(
    resource: dict[str, Any], patients: dict[str, str], by_code: Mapping[Any, Any], found: Clinical, place: str
) -> None:
    codings = (resource.get("code") or {}).get("coding") or []
    keys = [(c.get("system"), c.get("code")) for c in codings if isinstance(c, dict)]
    endpoint = next((by_code[key] for key in keys if key in by_code), None)
    if endpoint is None:
        found.refuse(f"{place}: its code is not an endpoint of this project")
        return
    subject = resource.get("subject") or {}
    patient = patients.get(str(subject.get("reference", "")))
    patient = patient or str((subject.get("identifier") or {}).get("value", ""))
    if not patient:
        found.refuse(f"{place}: its patient is not in the Bundle")
        return
    raw = (resource.get("valueQuantity") or {}).get("value")
    for name in ("valueInteger", "valueString", "valueBoolean"):
        raw = resource.get(name) if raw is None else raw
    if raw is None:
        codes = (resource.get("valueCodeableConcept") or {}).get("coding") or [{}]
        raw = codes[0].get("code")
    found.put(patient, endpoint, raw, place)

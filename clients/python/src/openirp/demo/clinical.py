"""A small invented clinical table, once as FHIR R4 bundle and once as CSV. Values are made up and say so."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

LOINC = "http://loinc.org"
NT_PROBNP = "33762-6"


def fhir_bundle(patients: Sequence[tuple[str, float]]) -> bytes:
    """NT-proBNP (pg/mL) of each (patient id, value) as a transaction-free collection of Patients and Observations."""
    entries: list[dict[str, Any]] = []
    for number, (patient_id, value) in enumerate(patients):
        patient = f"urn:uuid:00000000-0000-4000-8000-{number:012d}"
        entries.append({"fullUrl": patient, "resource": _patient(patient_id)})
        entries.append({"resource": _observation(patient, value)})
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()


def _patient(patient_id: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"value": patient_id}]}


def _observation(patient: str, value: float) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": NT_PROBNP}]},
        "subject": {"reference": patient},
        "valueQuantity": {"value": value, "unit": "pg/mL", "system": "http://unitsofmeasure.org", "code": "pg/mL"},
    }


def table(patients: Sequence[tuple[str, str]]) -> bytes:
    """Group of each (patient id, group) as CSV; the first column is the identifier as in DICOM."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("patient_id", "group"))
    writer.writerows(patients)
    return text.getvalue().encode()


def group_of(name: str) -> str:
    """The data set's own group, from the patient's public name: HF-I, HF-NI, HYP or N."""
    known = {"SCD0000101": "HF-I", "SCD0000201": "HF-I", "SCD0000301": "HF-I"}
    return known.get(name) or name.removeprefix("SC-").rsplit("-", 1)[0]


def invented_nt_probnp(name: str) -> float:
    """A made-up value in the range that such a group might show; it shows the joining, not medicine."""
    base = {"HF-I": 2400.0, "HF-NI": 1900.0, "HYP": 650.0, "N": 85.0}[group_of(name)]
    return base + 10.0 * (sum(map(ord, name)) % 17)

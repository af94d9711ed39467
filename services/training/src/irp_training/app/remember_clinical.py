"""ClinicalRecorded -> the hash of a patient's clinical values, and nothing of the values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from irp_training.app.ports import Store


class RememberClinical:
    """Keeps the hash of each patient's newest values."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, project: str, patient: str, version: int, values: Mapping[str, float | str]) -> None:
        """Remember the values of one version by hash."""
        async with self._store.change() as change:
            await change.remember_clinical(project, patient, version, hash_of(project, patient, values))


def hash_of(project: str, patient: str, values: Mapping[str, float | str]) -> str:
    """SHA-256 of canonical JSON; project and pseudonym go in, so that equal values of two patients look different."""
    document = json.dumps([project, patient, dict(values)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(document.encode()).hexdigest()

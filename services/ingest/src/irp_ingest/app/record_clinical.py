"""Clinical values come in, are joined by pseudonym, kept and announced; identifiers are not kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from irp_deid import SiteKey
from irp_kernel.errors import UnsupportedMediaType

from irp_ingest.app.ports import Configurations, Index, ProjectAt
from irp_ingest.domain.clinical import read_bundle, read_table

READERS = {"application/fhir+json": read_bundle, "text/csv": read_table}


class ClinicalValues(Protocol):
    """Clinical values by pseudonym."""

    async def merge(
        self, project: ProjectAt, patient: str, values: dict[str, float], categories: dict[str, str]
    ) -> None:
        """Merge into what is known of a patient, and announce all of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """How much was taken, and what was not."""

    patients: int
    values: int
    refused: list[str]


class RecordClinical:
    """Take a FHIR bundle or a table."""

    def __init__(self, clinical: ClinicalValues, index: Index, configurations: Configurations) -> None:
        self._clinical, self._index, self._configurations = clinical, index, configurations

    async def __call__(self, project: ProjectAt, site: str, media_type: str, body: bytes) -> Recorded:
        """Everything taken is durable when this returns.

        Raises:
            UnsupportedMediaType: neither FHIR JSON nor CSV.
            ClinicalNotReadable: broken.
        """
        if media_type not in READERS:
            raise UnsupportedMediaType(f"clinical data is {' or '.join(READERS)}")
        document = await self._configurations.read(project.configuration)
        found = READERS[media_type](body, document["endpoints"])
        keys = SiteKey(await self._index.site_key(project.id, site))
        patients = sorted({*found.values, *found.categories})
        for original in patients:
            await self._clinical.merge(
                project,
                keys.pseudonym(original),
                found.values.get(original, {}),
                found.categories.get(original, {}),
            )
        values = sum(map(len, found.values.values())) + sum(map(len, found.categories.values()))
        return Recorded(patients=len(patients), values=values, refused=found.refused)

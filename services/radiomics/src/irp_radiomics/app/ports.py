"""What radiomics' verbs need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from irp_kernel import ObjectRef

from irp_radiomics.domain.features import Extracted


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An accepted mask with its image.

    Attributes:
        version: of the accepted mask.
        guide: a proposed mask of the same volume, or None: it may show the right ventricle.
    """

    project: str
    series_uid: str
    patient: str
    version: int
    volume: ObjectRef
    mask: ObjectRef
    guide: ObjectRef | None = None


class Cases(Protocol):
    """Accepted masks, and what was extracted from them."""

    async def waiting(self, project: str) -> Sequence[Case]:
        """Accepted masks of present volumes that were not extracted yet."""
        ...

    async def keep(self, case: Case, extracted: Extracted, configuration: dict[str, Any]) -> None:
        """Keep features and function of a case, and announce them."""
        ...

    async def progress(self, project: str, extraction: str, **values: Any) -> None:
        """Write the state of an extraction."""
        ...


class Objects(Protocol):
    """Where images and masks lie."""

    async def get(self, ref: ObjectRef) -> bytes:
        """Read bytes, verified."""
        ...


class Extractor(Protocol):
    """The worker that extracts."""

    async def extract(self, volume: bytes, mask: bytes, guide: bytes | None) -> Extracted:
        """See domain.features.extract."""
        ...

"""Plants names, dates and numbers into the headers, in memory, so that the demo can show that none of them survives."""

from __future__ import annotations

import gzip
import io
import warnings
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIRST = ("Hannah", "Oskar", "Miriam", "Anton", "Leonie", "Jakob", "Frieda", "Emil", "Clara")
LAST = (
    "Sonnenfeld",
    "Bachstelzer",
    "Wiesengrundt",
    "Kupferschmidt",
    "Morgenrothe",
    "Lindenblatt",
    "Haselstrauch",
    "Silbermannsk",
    "Vogelsangher",
)
HOSPITAL, PHYSICIAN, OPERATOR = "Klinikum Quellenhain", "Drosselbart^Theodora", "Federkiel^Ruprecht"
CHUNK = 1 << 20  # bytes read at once while looking


@dataclass(frozen=True, slots=True)
class Planted:
    """What stands in one patient's headers, and must stand nowhere else.

    Attributes:
        patient_id: identifier in the headers (and in the clinical table).
        name: PatientName.
        secrets: every text to look for afterwards.
    """

    patient_id: str
    name: str
    secrets: tuple[str, ...]


def identity(index: int) -> Planted:
    """The invented identity of the demo's n-th patient."""
    first, last = FIRST[index % len(FIRST)], LAST[index % len(LAST)]
    patient_id = f"QH{7304117 + 1009 * index}"
    dates = (f"19{41 + 3 * index}0{1 + index}1{index}", f"2006110{1 + index}")
    secrets = (patient_id, last, *dates, f"ACC{55170023 + index}")
    return Planted(patient_id, f"{last}^{first}", secrets)


def everywhere() -> tuple[str, ...]:
    """Secrets that every patient shares: hospital and staff."""
    return (HOSPITAL, PHYSICIAN.split("^")[0], OPERATOR.split("^")[0])


def plant(file: bytes, planted: Planted) -> bytes:
    """A DICOM file with the invented identity in its header, private element and descriptions included."""
    import pydicom

    birth, study, accession = planted.secrets[2], planted.secrets[3], planted.secrets[4]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the set's own UIDs have leading zeros; ingest has to cope
        dataset = pydicom.dcmread(io.BytesIO(file))
        dataset.PatientID, dataset.PatientName, dataset.PatientBirthDate = planted.patient_id, planted.name, birth
        dataset.PatientSex, dataset.StudyDate, dataset.SeriesDate = "O", study, study
        dataset.AcquisitionDate = dataset.ContentDate = study
        dataset.AccessionNumber, dataset.InstitutionName = accession, HOSPITAL
        dataset.ReferringPhysicianName, dataset.OperatorsName = PHYSICIAN, OPERATOR
        dataset.StudyDescription = f"Cardiac MR of {planted.name.replace('^', ', ')}"
        block: Any = dataset.private_block(0x0099, "QUELLENHAIN RIS", create=True)
        block.add_new(0x01, "LO", f"{planted.name} {planted.patient_id}")
        out = io.BytesIO()
        dataset.save_as(out)
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search of the house's folder found.

    Attributes:
        files: files looked at.
        bytes: their length together.
        found: (secret's position in the list, file) where one was found; never the secret itself.
    """

    files: int
    bytes: int
    found: tuple[tuple[int, str], ...]


def search(folder: Path, secrets: Iterable[str], skip: frozenset[str] = frozenset({"keys", "run"})) -> SearchResult:
    """Look for secrets in every file below a folder: as they are, and inside gzip streams (NRRD, NIfTI, .gz)."""
    needles = [secret.encode() for secret in secrets]
    files = size = 0
    found = set()
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.relative_to(folder).parts[0] in skip:
            continue
        try:
            data = path.read_bytes()
        except FileNotFoundError:  # the house lives: what is gone since the folder was listed holds nothing any more
            continue
        files += 1
        size += len(data)
        for piece in _pieces(data):
            found |= {(n, str(path.relative_to(folder))) for n, needle in enumerate(needles) if needle in piece}
    return SearchResult(files, size, tuple(sorted(found)))


def _pieces(data: bytes) -> Iterator[bytes]:
    """A file's bytes, then what its gzip stream holds, if it has one."""
    yield data
    at = data.find(b"\x1f\x8b\x08", 0, CHUNK)
    if at >= 0:
        try:
            yield gzip.decompress(data[at:])
        except (OSError, EOFError, zlib.error):
            return

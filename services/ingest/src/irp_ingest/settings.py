"""What ingest can be told."""

from __future__ import annotations

from pathlib import Path

from irp_chassis import ServiceSettings
from pydantic import SecretStr


class Settings(ServiceSettings):
    """Settings of ingest."""

    installation_key_file: Path = Path("installation.key")
    """File with the installation's key (32 bytes, hexadecimal): wraps every project's secret. Back it up."""
    installation_key: SecretStr = SecretStr("")
    """The installation's key itself, instead of the file."""
    max_instance_bytes: int = 512 << 20
    """Largest DICOM instance in bytes."""
    max_import_bytes: int = 256 << 20
    """Largest NIfTI or NRRD file in bytes, and its voxels after inflation; work on one takes about six times as
    much, and one file is worked on at a time."""
    uploads_at_once: int = 4
    """Upload streams that are read at the same time; others wait."""
    upload_memory_bytes: int = 512 << 20
    """Bytes of raw files that all uploads may hold together; work on a file takes about three times its size."""
    quarantine_limit: int = 10_000
    """Instances of one project that may wait in quarantine; beyond, suspects are refused."""

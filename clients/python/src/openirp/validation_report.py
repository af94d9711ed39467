"""A validation report in a folder, checked without a network: one signature, and the hash of every file it names."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

KIND = "openirp-validation-report"
SIGNATURE = "signature.jws"
NAMES = frozenset({"report.json", "report.html", "report.pdf"})
MAX_FILE_BYTES = 256 << 20


class ReportNotValid(Exception):
    """A file is missing, was changed, or the signature is of something else; the text says which."""


def check_report(folder: Path, jwk: dict[str, Any]) -> dict[str, Any]:
    """What was signed, if every file is what it was.

    Args:
        folder: with `signature.jws` and the files.
        jwk: public key as JSON Web Key.

    Raises:
        ReportNotValid: see there.
        SignatureNotValid: another key's, or changed.
    """
    from irp_deid.signed import verify

    signed = verify(_read(folder / SIGNATURE).decode("ascii", "replace"), jwk)
    files = signed.get("files")
    if signed.get("kind") != KIND or not isinstance(files, dict) or not files or not set(files) <= NAMES:
        raise ReportNotValid("the signature is of another kind of document")
    for name, said in files.items():
        if hashlib.sha256(_read(folder / name)).hexdigest() != said.get("sha256"):
            raise ReportNotValid(f"{name} was changed")
    return signed


def _read(file: Path) -> bytes:
    if not file.is_file() or file.stat().st_size > MAX_FILE_BYTES:
        raise ReportNotValid(f"{file.name} is missing, or too large")
    return file.read_bytes()

"""A validation report in a folder, checked without a network: one signature, and the hash of every file it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from irp_kernel.object_ref import sha256_of
from irp_kernel.signed import SignatureNotValid, verify_any

KIND = "openirp-validation-report+jws"
SIGNATURE = "signature.jws"
FILES = frozenset({"report.json", "report.html", "report.pdf"})


def check_report(token: str, keys: Sequence[Mapping[str, Any]], read: Callable[[str], bytes]) -> dict[str, Any]:
    """What was signed, if every file is what it was: model, dataset, created_at, files.

    Args:
        token: compact JWS.
        keys: public keys (JSON Web Keys); the signature is one of theirs.
        read: name -> bytes of a file of the report.

    Raises:
        SignatureNotValid: of no such key, of another kind of document, or a file was changed.
    """
    signed = verify_any(token, keys, KIND)
    files = signed.get("files")
    if not isinstance(files, dict) or not files or not set(files) <= FILES:
        raise SignatureNotValid("the signature names no report")
    for name, said in files.items():
        if not isinstance(said, dict) or sha256_of(read(name)) != said.get("sha256"):
            raise SignatureNotValid(f"{name} was changed")
    return signed

"""Signed reports: `irp_kernel.signed` for documents of one kind."""

from __future__ import annotations

from typing import Any

from irp_kernel import signed
from irp_kernel.signed import public_jwk

__all__ = ["TYPE", "public_jwk", "sign", "verify"]

TYPE = "openirp-report+jws"


def sign(document: dict[str, Any], seed: bytes) -> str:
    """The report and its signature as a compact JWS; see `irp_kernel.signed.sign`."""
    return signed.sign(document, seed, TYPE)


def verify(token: str, jwk: dict[str, Any]) -> dict[str, Any]:
    """The report of a compact JWS.

    Raises:
        SignatureNotValid: not a signed report, another key's, or changed.
    """
    return signed.verify(token, jwk, TYPE)

"""Signed documents: a JSON document in, a compact JWS out, and back; whoever holds the public key can check it offline.

Ed25519, so that a browser's WebCrypto can do the same. Source: RFC 7515 (JWS), RFC 8037 (EdDSA, OKP keys).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from irp_kernel.errors import InvalidArgument

_BROKEN = (ValueError, TypeError, KeyError, UnicodeError, RecursionError, binascii.Error, InvalidSignature)


class SignatureNotValid(InvalidArgument):
    """The signature is not valid.

    The document was changed, or signed by another key than the one that it is checked with. Fetch the key again; who
    signed it has to sign anew.
    """


def sign(document: dict[str, Any], seed: bytes, kind: str) -> str:
    """The document and its signature as a compact JWS.

    Args:
        document: anything that JSON can say.
        seed: 32 bytes of an Ed25519 key.
        kind: what it is, for the header `typ`: a signature of one kind is none of another.
    """
    key = Ed25519PrivateKey.from_private_bytes(seed)
    header = {"alg": "EdDSA", "kid": public_jwk(seed)["kid"], "typ": kind}
    signed = f"{_encode(_bytes(header))}.{_encode(_bytes(document))}"
    return f"{signed}.{_encode(key.sign(signed.encode('ascii')))}"


def verify(token: str, jwk: dict[str, Any], kind: str) -> dict[str, Any]:
    """The document of a compact JWS.

    Args:
        token: what `sign` gave.
        jwk: public key as JSON Web Key (kty OKP, crv Ed25519).
        kind: what it has to be.

    Raises:
        SignatureNotValid: not a JWS of this kind, another key's, or changed.
    """
    try:
        if (jwk["kty"], jwk["crv"]) != ("OKP", "Ed25519"):
            raise SignatureNotValid
        header, payload, signature = token.strip().split(".")
        said = json.loads(_decode(header))
        # The algorithm is ours to choose, not the sender's; what is critical to somebody else is unknown here.
        if said["alg"] != "EdDSA" or said.get("typ") != kind or "crit" in said:
            raise SignatureNotValid
        key = Ed25519PublicKey.from_public_bytes(_decode(jwk["x"]))
        key.verify(_decode(signature), f"{header}.{payload}".encode("ascii"))
        document = json.loads(_decode(payload))
    except _BROKEN:
        raise SignatureNotValid from None
    if not isinstance(document, dict):
        raise SignatureNotValid
    return document


def verify_any(token: str, keys: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Any]:
    """The document of a compact JWS that one of several keys signed.

    Raises:
        SignatureNotValid: none of them did.
    """
    for key in keys:
        try:
            return verify(token, dict(key), kind)
        except SignatureNotValid:
            continue
    raise SignatureNotValid


def payload_of(token: str) -> dict[str, Any]:
    """What a compact JWS says, for showing it: nothing is checked.

    Raises:
        SignatureNotValid: it is none.
    """
    try:
        document = json.loads(_decode(token.split(".")[1]))
    except (*_BROKEN, IndexError):
        raise SignatureNotValid from None
    if not isinstance(document, dict):
        raise SignatureNotValid
    return document


def public_jwk(seed: bytes) -> dict[str, str]:
    """The public key of a seed as JSON Web Key; `kid` is its thumbprint. Source: RFC 8037 section 2, RFC 7638."""
    return jwk_of(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def jwk_of(public: bytes) -> dict[str, str]:
    """The 32 bytes of a public key as JSON Web Key."""
    required = {"crv": "Ed25519", "kty": "OKP", "x": _encode(public)}
    thumbprint = _encode(hashlib.sha256(_bytes(required)).digest())
    return required | {"alg": "EdDSA", "kid": thumbprint, "use": "sig"}


def _bytes(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)

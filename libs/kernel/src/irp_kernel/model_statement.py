"""Where a model version comes from, as a statement that can be signed, carried beside the bundle, and checked offline.

An in-toto statement: the subject is the bundle by its SHA-256, the predicate says who, from which data, by which run,
with which code. Source: in-toto Attestation Framework, Statement v1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from irp_kernel.signed import SignatureNotValid, verify_any

KIND = "openirp-model+jws"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:openirp:model-version:1"


def model_statement(*, name: str, version: int, sha256: str, origin: Mapping[str, Any]) -> dict[str, Any]:
    """The statement about one version.

    Args:
        name: of the model.
        version: of the model.
        sha256: of the bundle.
        origin: actor, created_at, dataset, run, recipe, base, code: identifiers and hashes only.
    """
    return {
        "_type": STATEMENT,
        "subject": [{"name": f"{name}@{version}", "digest": {"sha256": sha256}}],
        "predicateType": PREDICATE,
        "predicate": {"name": name, "version": version, **origin},
    }


def read_statement(token: str, keys: Sequence[Mapping[str, Any]], *, sha256: str, subject: str = "") -> dict[str, Any]:
    """The predicate of a signed statement about a bundle.

    Args:
        token: compact JWS.
        keys: public keys (JSON Web Keys); the signature is one of theirs.
        sha256: of the bundle that lies there.
        subject: `name@version` that it has to be; empty = whichever it says.

    Raises:
        SignatureNotValid: of no such key, or about another bundle or version.
    """
    document = verify_any(token, keys, KIND)
    try:
        (said,) = document["subject"]
        fits = (document["_type"], document["predicateType"]) == (STATEMENT, PREDICATE)
        fits = fits and said["digest"]["sha256"] == sha256 and subject in {"", said["name"]}
        predicate = document["predicate"]
    except (KeyError, TypeError, ValueError):
        raise SignatureNotValid from None
    if not fits or not isinstance(predicate, dict):
        raise SignatureNotValid("the signed statement is about another model")
    return predicate
